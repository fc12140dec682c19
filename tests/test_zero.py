"""Searches in calls that run in forked processes, as on ZeroGPU, equal searches in this one."""

import io
import json
import os
from dataclasses import fields, is_dataclass, replace
from importlib.resources import files
from pathlib import Path

import gradio as gr
import gradio.oauth
import pytest
import torch
from PIL import Image

import ui.engines.space
import ui.engines.zero
from milr_core import Critic, CriticError, Janus, Score, SearchControl, Step, memory_needed
from milr_core.engine import Job, Options, run
from tests.lending import Lending
from tests.ui_helpers import PROMPT, SETTINGS, Studio, read, whole
from ui.engines.base import EngineError
from ui.engines.local import LocalEngine
from ui.engines.models import EMBEDDED
from ui.engines.zero import (
    LARGE_BYTES,
    LEAST,
    MOST_STEPS,
    QUOTA_OF_A_CALL,
    STARTING_SECONDS,
    UNKNOWN,
    Quota,
    ZeroEngine,
)
from ui.layout import build_demo
from ui.panels.status import estimate
from ui.run import FAILED, FINISHED, STOPPED
from ui.session import Session

JOB = Job(PROMPT, SETTINGS, "redness")
BEST_OF_FOUR = replace(JOB, settings=replace(SETTINGS, steps=3), method="best-of-n")


@pytest.fixture
def lending() -> Lending:
    return Lending()


@pytest.fixture
def local(tiny: Janus, redness: Critic) -> LocalEngine:
    engine = LocalEngine(tiny)
    engine.judges.shared["redness"] = redness
    return engine


@pytest.fixture
def zero(local: LocalEngine, lending: Lending, monkeypatch: pytest.MonkeyPatch) -> ZeroEngine:
    """Two steps a call."""
    monkeypatch.setattr(ui.engines.zero, "MOST_STEPS", 2)
    return ZeroEngine(local, lending)


def png(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def same(a: object, b: object) -> bool:
    """Bit for bit, tensors and images included; seconds are nobody's."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b) and a.dtype == b.dtype and a.device == b.device
    if isinstance(a, Image.Image):
        return png(a) == png(b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    if is_dataclass(a) and is_dataclass(b):
        names = [f.name for f in fields(a) if f.name != "cost"]
        return all(same(getattr(a, name), getattr(b, name)) for name in names)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return a == b


def assert_same(ours: list[Step], theirs: list[Step]) -> None:
    assert len(ours) == len(theirs) > 1
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.text, mine.reward, mine.probabilities) == (other.text, other.reward, other.probabilities)
        assert png(mine.image) == png(other.image)
        assert mine.image_tokens == other.image_tokens and same(mine.state, other.state)


def test_a_search_in_calls_equals_one_in_this_process(zero: ZeroEngine, local: LocalEngine, lending: Lending):
    job = replace(JOB, settings=replace(SETTINGS, text_update="coordinate"))  # states that hold other states
    for wanted in (JOB, job):
        assert_same(list(run(zero, wanted, SearchControl())), list(run(local, wanted, SearchControl())))
    # Five steps, two a call.
    assert len(lending.asked) == 6 and len(set(lending.workers)) == 6 and os.getpid() not in lending.workers
    assert all(LEAST <= seconds <= zero.quota.most for seconds in lending.asked)


def test_independent_images_in_calls_equal_those_of_this_process(zero: ZeroEngine, local: LocalEngine):
    assert_same(list(run(zero, BEST_OF_FOUR, SearchControl())), list(run(local, BEST_OF_FOUR, SearchControl())))
    easy = replace(BEST_OF_FOUR, settings=replace(SETTINGS, threshold=0.0))
    assert len(list(run(zero, easy, SearchControl()))) == 1


def test_it_goes_on_from_a_state(zero: ZeroEngine, local: LocalEngine):
    whole = list(run(local, JOB, SearchControl()))
    assert_same(list(run(zero, JOB, SearchControl(), whole[1].state)), whole[2:])
    assert list(run(zero, JOB, SearchControl(), whole[-1].state)) == []


def test_a_slider_acts_at_the_next_call(zero: ZeroEngine, lending: Lending):
    control, made = SearchControl(), []
    for step in run(zero, JOB, control):
        made.append(step)
        if step.index == 2:  # the first of the two steps of a call
            control.change(lr=0.125)
    assert [s.settings.lr for s in made] == [0.5, 0.5, 0.5, 0.125, 0.125] and len(lending.asked) == 3


def test_stop_ends_it_after_the_step_and_closing_ends_the_worker(zero: ZeroEngine, lending: Lending):
    control, made = SearchControl(), []
    for step in run(zero, JOB, control):
        made.append(step)
        if step.index == 2:
            control.stop()
    assert [s.index for s in made] == [0, 1, 2] and len(lending.asked) == 2
    steps = run(zero, JOB, SearchControl())
    next(steps)
    steps.close()
    with pytest.raises(ProcessLookupError):
        os.kill(lending.workers[-1], 0)


class Unsteady(Critic):
    """Goes wrong at its third image; `how` says how."""

    name = "unsteady"

    def __init__(self, redness: Critic, how: str):
        self.redness, self.how = redness, how

    def score(self, images: list[Image.Image], prompt: str) -> list[Score]:
        self.seen = getattr(self, "seen", 0) + 1
        if self.seen > 1 and self.how == "raises":
            raise CriticError("out of credit")
        if self.seen > 1:
            os._exit(9)
        return self.redness.score(images, prompt)


def test_what_a_critic_says_gets_through(zero: ZeroEngine, local: LocalEngine, redness: Critic):
    local.judges.shared["redness"] = Unsteady(redness, "raises")
    zero.quota.seconds_a_step = 0.1
    steps = run(zero, JOB, SearchControl())
    assert next(steps).index == 0
    with pytest.raises(CriticError, match="out of credit"):
        next(steps)


def test_no_quota_and_a_call_cut_short_are_said_and_the_steps_stay(
    zero: ZeroEngine, local: LocalEngine, lending: Lending, redness: Critic, tmp_path, monkeypatch
):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    studio, session = Studio(zero), Session()
    local.judges.shared["redness"] = Unsteady(redness, "dies")
    zero.quota.seconds_a_step = 0.1
    page = list(studio.drive(studio.press("press_run", session), session))[-1]
    assert session.phase == FAILED and session.shown.newest == 0
    assert "ZeroGPU worker error: GPU task aborted. The steps so far stay" in page["notice"]
    assert zero.quota.seconds_a_step > 0.1 and "Traceback" not in page["notice"]
    lending.refuse = gr.Error("You have exceeded your quota (60s requested vs. 3s left).", title="ZeroGPU quota")
    page = list(studio.resume(session))[-1]
    assert "You have exceeded your quota (60s requested vs. 3s left)" in page["notice"] and session.phase == FAILED
    lending.refuse, local.judges.shared["redness"] = None, redness
    list(studio.resume(session))
    assert session.phase == FINISHED
    assert read(whole(session.shown)) == read(list(run(local, JOB, SearchControl())))


def test_the_page_stops_it(zero: ZeroEngine, tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    studio, session = Studio(zero), Session()
    pages = studio.drive(studio.press("press_run", session), session)
    next(pages), next(pages)
    studio.search.press_stop(session)
    assert "Stopped: step 0" in list(pages)[-1]["status"] and session.phase == STOPPED


def test_a_search_takes_the_calls_and_seconds_that_were_announced(local: LocalEngine):
    lending = Lending(reuse=True)
    zero = ZeroEngine(local, lending, factor=1.5)
    zero.quota.seconds_a_step = 0.3
    announced, said = zero.quota.calls(SETTINGS.steps + 1), zero.cost(SETTINGS.steps)
    made = list(run(zero, JOB, SearchControl()))
    assert_same(made, list(run(local, JOB, SearchControl())))
    assert announced.steps == (5,) and announced.asked == tuple(round(1.5 * s) for s in lending.asked) == (18,)
    assert said.startswith("About 11 s of GPU quota in 1 call; a call asks for up to 18 s") and "40 for PRO" in said


def test_the_embedded_model_borrows_no_gpu_and_another_one_does(tiny_folder: Path, lending: Lending):
    engine, models = ui.engines.space.engines(str(tiny_folder), lending, 1.5)
    used = []
    models.use = used.append
    assert engine.facts.device == "cpu" and models.loaded == EMBEDDED and engine.cost(16) == ""
    job = engine.check(Job(PROMPT, replace(SETTINGS, steps=1, threshold=1.0), "oracle"))
    assert len(list(run(engine, job, SearchControl()))) == 2 and not lending.asked
    models.load(tiny_folder.name)
    models.thread.join()
    (janus,) = used
    assert isinstance(janus, ZeroEngine) and models.loaded == tiny_folder.name and "GPU quota" in janus.cost(16)
    assert len(list(run(janus, janus.check(job), SearchControl()))) == 2 and len(lending.asked) == 1
    models.load(EMBEDDED)  # what was loaded before the page opened is there at once
    models.thread.join()
    assert used[1] is engine


def test_where_janus_cannot_be_loaded_the_embedded_model_stays_and_says_why(lending: Lending):
    engine, models = ui.engines.space.engines("no-such-model", lending, 1.5)
    assert [name for _, name in models.choices] == [EMBEDDED] and "no-such-model was not loaded" in models.problem


def test_a_visitor_may_sign_in_where_it_raises_the_quota(local: LocalEngine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SYSTEM", "spaces")  # elsewhere gradio asks the hub who is signed in on this machine
    monkeypatch.setenv("SPACE_ID", "somebody/studio")
    for name in ("CLIENT_ID", "CLIENT_SECRET", "SCOPES"):
        monkeypatch.setattr(gradio.oauth, f"OAUTH_{name}", "x")
    monkeypatch.setattr(gradio.oauth, "OPENID_PROVIDER_URL", "https://hub.example")

    def offered(sign_in: bool) -> list[gr.LoginButton]:
        demo = build_demo(local, "oracle", sign_in=sign_in)
        return [block for block in demo.blocks.values() if isinstance(block, gr.LoginButton)]

    assert len(offered(True)) == 1 and not offered(False)


def test_idle_workers_take_the_next_call(local: LocalEngine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ui.engines.zero, "MOST_STEPS", 2)
    lending = Lending(reuse=True)
    zero = ZeroEngine(local, lending)
    control, made = SearchControl(), []
    for step in run(zero, JOB, control):
        made.append(step)
        if step.index == 2:
            control.change(lr=0.125)  # ends a call before its last step
    assert len(lending.asked) == len(zero.quota.calls(5).steps) == 3 and len(set(lending.workers)) == 1
    again = list(run(zero, JOB, SearchControl(), made[2].state))
    assert_same(again, list(run(local, JOB, SearchControl(), made[2].state)))
    lending.idle.end()


def test_calls_are_planned_by_their_number_and_by_seconds(local: LocalEngine, lending: Lending):
    zero = ZeroEngine(local, lending, factor=1.5)
    assert zero.quota.most == 60 and UNKNOWN == 10
    assert zero.quota.calls(5).steps == (3, 2)  # before anything was measured
    for seconds, steps in ((0.5, (17,)), (1.0, (17,)), (3.0, (11, 6)), (10.0, (3,) * 5 + (2,)), (1000.0, (1,) * 17)):
        zero.quota.seconds_a_step = seconds
        calls = zero.quota.calls(17)
        assert calls.steps == steps and max(calls.asked) <= QUOTA_OF_A_CALL
        for count in steps if seconds < 1000 else ():  # a call asks for more than it is expected to take
            assert zero.quota.duration(count) > STARTING_SECONDS + count * seconds
    zero.quota.seconds_a_step = 3.0
    said = zero.cost(16)
    assert said.startswith("About 94 s of GPU quota in 2 calls; a call asks for up to 88 s")
    assert "in 2 calls" in estimate(16, 3.0, 0, said) and "40 for PRO" in estimate(16, 3.0, 0, said)
    with pytest.raises(EngineError):
        lending.refuse = gr.Error("No GPU was available")
        next(run(zero, JOB, SearchControl()))


def test_a_model_beyond_the_usual_share_takes_the_whole_card(local: LocalEngine, lending: Lending):
    assert ZeroEngine(local, lending, 1.5, whole_card=True).quota.factor == 2 and lending.size == "xlarge"
    assert ZeroEngine(local, lending, 1.5).quota.factor == 1.5 and lending.size is None
    for name in ("deepseek-community/Janus-Pro-1B", "deepseek-community/Janus-Pro-7B"):
        assert memory_needed(name, "cuda", torch.bfloat16).peak < LARGE_BYTES


def test_no_card_of_the_package_spaces_takes_more_than_a_visitor_has():
    cards = json.loads(files("spaces.zero").joinpath("configs.json").read_text())
    for card in cards:
        quota = Quota(card["duration_factor"], seconds_a_step=1.0)
        assert max(quota.calls(MOST_STEPS).asked) <= 120 and quota.steps_a_call >= 16
        if card["xlarge_threshold"] is not None:
            assert LARGE_BYTES <= card["xlarge_threshold"]


def test_the_same_code_runs_where_nothing_is_lent(local: LocalEngine):
    here = ZeroEngine(local, lambda duration, size: lambda task: task)
    threads = torch.get_num_threads()
    job = replace(JOB, options=Options(key="sk-secret"))
    assert_same(list(run(here, job, SearchControl())), list(run(local, JOB, SearchControl())))
    assert torch.get_num_threads() == threads
