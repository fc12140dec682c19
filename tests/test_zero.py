"""Searches in calls that run in forked processes, as on ZeroGPU, equal searches in this one."""

import io
import os
from dataclasses import fields, is_dataclass, replace

import gradio as gr
import pytest
import torch
from PIL import Image

import ui.engines.zero
from milr_core import Critic, CriticError, Janus, Score, SearchControl, Step
from tests.lending import Lending
from tests.ui_helpers import PROMPT, SETTINGS, Studio
from ui.engines.base import EngineError, Job, Options, run
from ui.engines.local import LocalEngine
from ui.engines.zero import LEAST, MOST, UNKNOWN, ZeroEngine
from ui.panels.status import estimate
from ui.session import FINISHED, PAUSED, STOPPED, Session

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
    """Two steps a call, once it is known how fast they are; one before that."""
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
    if is_dataclass(a) and is_dataclass(b):
        names = [f.name for f in fields(a) if f.name != "cost"]
        return all(same(getattr(a, name), getattr(b, name)) for name in names)
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
    # One step while nothing is known of the time; then two a call: 1 + 2 + 2, and 2 + 2 + 1.
    assert len(lending.asked) == 6 and len(set(lending.workers)) == 6 and os.getpid() not in lending.workers
    assert all(LEAST <= seconds <= MOST for seconds in lending.asked)


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
        if step.index == 1:  # the first of the two steps of a call
            control.change(lr=0.125)
    assert [s.settings.lr for s in made] == [0.5, 0.5, 0.5, 0.125, 0.125] and len(lending.asked) == 3


def test_stop_ends_it_after_the_step_and_closing_ends_the_worker(zero: ZeroEngine, lending: Lending):
    control, made = SearchControl(), []
    for step in run(zero, JOB, control):
        made.append(step)
        if step.index == 1:
            control.stop()
    assert [s.index for s in made] == [0, 1] and len(lending.asked) == 2
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
    zero.seconds_a_step = 0.1
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
    zero.seconds_a_step = 0.1
    page = list(studio.drive(studio.press("press_run", session), session))[-1]
    assert session.phase == PAUSED and session.shown.newest == 0
    assert "ZeroGPU worker error: GPU task aborted. The steps so far stay" in page["notice"]
    assert zero.seconds_a_step > 0.1 and "Traceback" not in page["notice"]
    lending.refuse = gr.Error("You have exceeded your quota (60s requested vs. 3s left).", title="ZeroGPU quota")
    page = list(studio.resume(session))[-1]
    assert "You have exceeded your quota (60s requested vs. 3s left)" in page["notice"] and session.phase == PAUSED
    lending.refuse, local.judges.shared["redness"] = None, redness
    list(studio.resume(session))
    assert session.phase == FINISHED
    assert_same(session.shown.steps, list(run(local, JOB, SearchControl())))


def test_the_page_stops_it(zero: ZeroEngine, tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    studio, session = Studio(zero), Session()
    pages = studio.drive(studio.press("press_run", session), session)
    next(pages), next(pages)
    studio.search.press_stop(session)
    assert "Stopped: step 0" in list(pages)[-1]["status"] and session.phase == STOPPED


def test_cost_and_duration_follow_what_was_measured(zero: ZeroEngine, lending: Lending):
    assert zero.steps_a_call == 1 and zero.duration(1) == 24 and UNKNOWN == 10
    assert zero.cost(4).startswith("About 80 s of GPU time, in 5 calls of 1 steps")
    zero.seconds_a_step = 1.0
    assert zero.steps_a_call == 2 and zero.cost(4).startswith("About 23 s of GPU time, in 3 calls of 2 steps")
    assert "in 3 calls" in estimate(4, 1.0, 0, zero.cost(4)) and "PRO 40" in estimate(4, 1.0, 0, zero.cost(4))
    zero.seconds_a_step = 1000.0
    assert zero.steps_a_call == 1 and zero.duration(1) == MOST
    with pytest.raises(EngineError):
        lending.refuse = gr.Error("No GPU was available")
        next(run(zero, JOB, SearchControl()))


def test_the_same_code_runs_where_nothing_is_lent(local: LocalEngine):
    here = ZeroEngine(local, lambda duration: lambda task: task)
    threads = torch.get_num_threads()
    job = replace(JOB, options=Options(key="sk-secret"))
    assert_same(list(run(here, job, SearchControl())), list(run(local, JOB, SearchControl())))
    assert torch.get_num_threads() == threads
