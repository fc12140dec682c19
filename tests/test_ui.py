"""The page without a browser: views of real steps, and the handlers driven as gradio drives them."""

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import torch
from PIL import Image
from ui.handlers import Studio

import app
from milr_core import Critic, CriticError, Janus, Score, SearchSettings, Step, reason
from milr_core.settings import KNOBS
from ui import figure, views
from ui.controls import LIVE, build_controls, random_seed
from ui.layout import build_demo
from ui.page import IN_FORCE, OUTPUTS, PANEL
from ui.session import FINISHED, PAUSED, RUNNING, STOPPED, WAITING, Line, Session, shown

PROMPT = "two red circles"
SETTINGS = SearchSettings(
    strategy="joint", text_ratio=0.5, image_ratio=0.2, lr=0.5, guidance=3.0, steps=4, threshold=0.95, seed=3
)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """A model this small computes 30 times slower on two threads when the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def steps(tiny: Janus) -> list[Step]:
    class Halves(Critic):
        """The best step is the second: a maximum that is neither first nor last."""

        name = "halves"
        values = iter((0.25, 0.5, 0.5, 0.125))

        def score(self, images: list[Image.Image], prompt: str) -> list[Score]:
            value = next(self.values)
            return [Score(value, {"<b>part": value}, "it's <i>fine</i>")]

    return list(reason(tiny, Halves(), PROMPT, replace(SETTINGS, steps=3)))


@pytest.fixture
def studio(tiny: Janus, redness: Critic, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Studio:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    made = Studio(tiny)
    made._critics["redness"] = redness
    return made


def request(name: str = "a") -> gr.Request:
    return gr.Request(None, None, session_hash=name)


def press(studio: Studio, how: str, session: Session, settings: SearchSettings = SETTINGS, prompt: str = PROMPT) -> Any:
    knobs = [getattr(settings, name) for name in KNOBS]
    return getattr(studio, how)(request(str(id(session))), session, prompt, "redness", *knobs)


def drive(studio: Studio, answer: list[Any], session: Session) -> Iterator[dict[str, Any]]:
    for values in studio.drive(answer[0], session):
        yield dict(zip(OUTPUTS, values, strict=True))


def undisturbed(studio: Studio, settings: SearchSettings = SETTINGS) -> list[Step]:
    return list(reason(studio.model, studio.critic("redness"), PROMPT, settings))


def same(ours: list[Step], theirs: list[Step]) -> bool:
    return [(s.text, s.image_tokens, s.reward) for s in ours] == [(s.text, s.image_tokens, s.reward) for s in theirs]


# Views


def test_model_text_is_escaped_and_the_prefix_marked(steps: list[Step]):
    strings = ["<script>", "alert", "&", "red", "<|end|>"]
    step = replace(steps[1], text="<script>alert & red", token_strings=strings, text_tokens=[9] * 5, text_prefix=2)
    html = views.reasoning(step)
    assert "<script>" not in html and "&lt;script&gt;" in html and "&amp;" in html
    inside, _, after = html.partition("</mark>")
    assert "alert" in inside and "&amp;" in after and "red" not in inside
    assert '<span class="token special">&lt;|end|&gt;</span>' in after
    assert "2 of 5 tokens" in after


def test_tokens_keep_the_spacing_of_the_text():
    assert views.aligned("a red, b", ["a", " red", ",", "b"]) == [
        ("", "a", True),
        (" ", "red", True),
        ("", ",", True),
        (" ", "b", True),
    ]
    # Bytes that decode only together are no substring of the text; what follows them is found again.
    assert views.aligned("a é b", ["a", "\ufffd", "\ufffd", "b"])[-1] == (" é ", "b", True)


def test_reasoning_of_a_real_step_reads_as_its_text(steps: list[Step]):
    for step in steps:
        placed = views.aligned(step.text, step.token_strings)
        assert "".join(gap + token for gap, token, is_text in placed if is_text).strip() == step.text


def test_score_escapes_and_flags_the_best(steps: list[Step]):
    assert [s.best for s in steps] == [0, 1, 1, 1]
    html = views.score(steps[1])
    assert "<b>part" not in html and "<i>" not in html and "0.50" in html and "best so far" in html
    assert "best so far" not in views.score(steps[2])


def test_status_says_where_the_search_is(steps: list[Step]):
    planned = replace(SETTINGS, steps=3)
    said = views.status(RUNNING, steps[:3], planned)
    assert "step 2 of 3, score 0.50, best 1" in said
    assert "all steps are done" in views.status(FINISHED, steps, planned)
    assert "passed the threshold 0.1" in views.status(FINISHED, steps, replace(planned, threshold=0.1))
    assert "Paused: step 2" in views.status(PAUSED, steps[:3], planned)
    assert "2 searches" in views.status(WAITING, [], planned, 2)


def test_tiles_flag_the_best(steps: list[Step]):
    captions = [caption for _, caption in views.tiles(steps, list("abcd"))]
    assert captions == ["step 0 · 0.25", "step 1 · 0.50 ★ best", "step 2 · 0.50", "step 3 · 0.12"]


def test_in_force_since(steps: list[Step]):
    moved = [replace(s, settings=replace(s.settings, lr=0.5 if s.index < 2 else 0.1)) for s in steps]
    assert "since step 2: <b>0.1</b>" in views.in_force("lr", moved, replace(SETTINGS, lr=0.1))
    assert views.in_force("lr", moved, replace(SETTINGS, lr=0.2)).endswith("from the next step: <b>0.2</b>")
    table = views.settings(moved, 3, "a <b>", "c")
    assert "since step 2" in table and "a &lt;b&gt;" in table


def test_figure(steps: list[Step]):
    made = figure.reward_figure(steps, 1, SETTINGS)
    threshold, best, score = made["data"]
    assert score["y"] == [0.25, 0.5, 0.5, 0.125] and best["y"] == [0.25, 0.5, 0.5, 0.5]
    assert (threshold["x"][-1], threshold["y"][-1]) == (4, 0.95)
    assert made["layout"]["shapes"][0]["x0"] == 1
    assert "Best: 0.50 at step 1" in made["summary"]


def test_shown_images_grow_by_a_whole_factor():
    assert shown(Image.new("RGB", (96, 96))).size == (576, 576)
    assert shown(Image.new("RGB", (600, 600))).size == (600, 600)


# Handlers


def test_a_run_yields_every_step_and_finishes(studio: Studio):
    session = Session()
    pages = list(drive(studio, press(studio, "press_run", session), session))
    assert session.phase == FINISHED
    assert same(session.run.steps, undisturbed(studio))
    assert [len(p["gallery"]) for p in pages] == [0, 1, 2, 3, 4, 5, 5]
    assert len({path for path, _ in pages[-1]["gallery"]}) == 5
    assert Image.open(pages[-1]["gallery"][0][0]).size == shown(session.run.steps[0].image).size
    assert "step 4 of 4" in pages[-1]["status"]
    # A tile once shown is not sent again: only the caption of the best moves.
    assert [path for path, _ in pages[3]["gallery"]] == [path for path, _ in pages[-1]["gallery"]][:3]


def test_pause_frees_the_line_and_resuming_continues_exactly(studio: Studio):
    session = Session()
    pages = drive(studio, press(studio, "press_run", session), session)
    while session.newest < 1:
        next(pages)
    studio.press_pause(session)
    last = list(pages)[-1]
    assert session.phase == PAUSED and session.newest == 1 and "Paused" in last["status"]
    assert last["resume"]["visible"] and not last["pause"]["visible"]
    assert studio.line._waiting == []
    list(drive(studio, studio.press_resume(session), session))
    assert session.phase == FINISHED and same(session.run.steps, undisturbed(studio))


def test_step_makes_one_step_at_a_time(studio: Studio):
    session = Session()
    for count in range(1, 6):
        list(drive(studio, press(studio, "press_step", session), session))
        assert session.newest == count - 1
        assert session.phase == (FINISHED if count == 5 else PAUSED)
    assert same(session.run.steps, undisturbed(studio))


def test_stop_keeps_the_steps(studio: Studio):
    session = Session()
    pages = drive(studio, press(studio, "press_run", session), session)
    next(pages), next(pages)
    studio.press_stop(session)
    last = list(pages)[-1]
    assert session.phase == STOPPED and "Stopped: step 0" in last["status"] and len(last["gallery"]) == 1
    assert last["run"]["interactive"] and not last["stop"]["interactive"]


def test_live_settings_act_at_the_next_step_and_survive_a_pause(studio: Studio):
    session = Session()
    pages = drive(studio, press(studio, "press_run", session), session)
    next(pages), next(pages)
    values = {name: getattr(SETTINGS, name) for name in LIVE} | {"lr": 0.125}
    beside = dict(zip((*IN_FORCE, "notice"), studio.move_slider(session, *values.values()), strict=True))
    assert "from the next step: <b>0.125</b>" in beside["lr_in_force"] and beside["notice"] == ""
    assert "since step 1: <b>0.125</b>" in next(pages)["lr_in_force"]
    studio.press_pause(session)
    list(pages)
    list(drive(studio, studio.press_resume(session), session))
    assert [s.settings.lr for s in session.run.steps] == [0.5, 0.125, 0.125, 0.125, 0.125]
    assert all(s.settings.text_ratio == 0.5 for s in session.run.steps)


def test_a_slider_out_of_range_changes_nothing(studio: Studio):
    session = Session()
    press(studio, "press_run", session)
    values = {name: getattr(SETTINGS, name) for name in LIVE} | {"lr": 99.0, "temperature": 0.5}
    assert "lr lies in (0, 10]" in studio.move_slider(session, *values.values())[-1]
    assert session.run.planned == SETTINGS


@pytest.mark.parametrize(
    ("settings", "prompt", "said"),
    [
        ({}, "two red dogs", "dogs"),
        ({}, "  ", "The prompt is empty"),
        ({"steps": None}, PROMPT, "steps is a whole number"),
        ({"seed": -1}, PROMPT, "seed lies in"),
    ],
)
def test_bad_input_is_said_and_nothing_is_queued(studio: Studio, settings: dict[str, Any], prompt: str, said: str):
    session = Session()
    knobs = list((SETTINGS.as_dict() | settings).values())
    ticket, *values = studio.press_run(request(), session, prompt, "redness", *knobs)
    assert said in dict(zip(OUTPUTS, values, strict=True))["notice"]
    assert not isinstance(ticket, int) and session.phase == "idle" and studio.line._waiting == []


def test_an_unknown_critic_is_said(studio: Studio):
    answer = studio.press_run(request(), Session(), PROMPT, "nobody", *SETTINGS.as_dict().values())
    assert "There is no critic" in dict(zip(OUTPUTS, answer[1:], strict=True))["notice"]


@pytest.mark.parametrize("error", [CriticError("out of <credit>"), RuntimeError("boom")])
def test_a_failing_critic_keeps_the_steps_and_can_be_tried_again(studio: Studio, redness: Critic, error: Exception):
    class Flaky(Critic):
        name, calls = "flaky", 0

        def score(self, images: list[Image.Image], prompt: str) -> list[Score]:
            self.calls += 1
            if self.calls == 3:
                raise error
            return redness.score(images, prompt)

    studio._critics["redness"] = Flaky()
    session = Session()
    pages = list(drive(studio, press(studio, "press_run", session), session))
    assert session.phase == PAUSED and session.newest == 1
    assert views.escape(str(error)) in pages[-1]["notice"] and "Traceback" not in pages[-1]["notice"]
    again = list(drive(studio, studio.press_resume(session), session))
    assert session.phase == FINISHED and session.newest == 4 and again[-1]["notice"] == ""


def test_looking_back_pins_every_panel_until_the_newest_is_chosen(studio: Studio):
    session = Session()
    pages = drive(studio, press(studio, "press_run", session), session)
    for _ in range(4):
        last = next(pages)
    assert last["step"]["value"] == 2
    pinned = dict(zip(PANEL, studio.look(session, 0), strict=True))
    assert pinned["image"]["value"].endswith("step-0000.png") and "at step 0" in pinned["score"]
    after = next(pages)
    assert {name: after[name] for name in PANEL if name != "plot"} == {n: pinned[n] for n in PANEL if n != "plot"}
    assert "value" not in after["step"] and after["step"]["maximum"] == 3
    studio.look(session, 3)
    assert next(pages)["step"]["value"] == 4


def test_visitors_wait_in_line_and_see_only_their_own(studio: Studio):
    first, second = Session(), Session()
    mine = drive(studio, press(studio, "press_run", first), first)
    next(mine), next(mine)
    answer = press(studio, "press_run", second, prompt="a blue square")
    assert "ahead of yours" in dict(zip(OUTPUTS, answer[1:], strict=True))["status"]
    assert "ahead of yours" in studio.tick(second)
    list(mine)
    theirs = list(drive(studio, answer, second))
    assert first.run.prompt == PROMPT and second.run.prompt == "a blue square"
    shown_to_first = {path for path, _ in studio.press_leave(first)[OUTPUTS.index("gallery")]}
    assert shown_to_first.isdisjoint(path for path, _ in theirs[-1]["gallery"])


def test_leaving_the_line_voids_the_ticket(studio: Studio):
    session = Session()
    answer = press(studio, "press_run", session)
    studio.press_leave(session)
    list(studio.drive(answer[0], session))
    assert session.run.steps == [] and session.phase == STOPPED
    assert press(studio, "press_run", session)[0] > answer[0]
    assert len(list(drive(studio, [session.ticket], session))) == 7


def test_closing_the_tab_ends_the_run_and_frees_its_images(studio: Studio):
    session = Session()
    pages = drive(studio, press(studio, "press_run", session), session)
    next(pages), next(pages)
    folder, control = session.run.folder, session.run.control
    assert folder.is_dir()
    studio.unload(request(str(id(session))))
    assert control.stopped and not folder.exists() and session.run is None
    assert list(pages) == [] and not folder.exists() and studio.line._waiting == []


def test_a_closed_generator_leaves_the_line(studio: Studio):
    session = Session()
    generator = studio.drive(press(studio, "press_run", session)[0], session)
    next(generator), next(generator)
    generator.close()
    assert session.phase == STOPPED and studio.line._waiting == []


def test_line_counts_who_is_ahead():
    line, sessions = Line(), [Session() for _ in range(3)]
    for session in (*sessions, sessions[0]):
        line.join(session)
    assert [line.ahead(s) for s in sessions] == [0, 1, 2]
    line.leave(sessions[0])
    assert [line.ahead(s) for s in sessions] == [0, 0, 1]


# The page and the app


def test_every_knob_has_a_control_with_its_default():
    recommended = {"lr": 0.07, "guidance": 3.0}
    with gr.Blocks(analytics_enabled=False):
        controls = build_controls(recommended, "oracle")
    assert list(controls.knobs) == list(KNOBS)
    defaults = SearchSettings().resolve(recommended).as_dict()
    assert {name: c.value for name, c in controls.knobs.items()} == defaults
    for name, control in controls.knobs.items():
        assert (control.label, control.info) == (KNOBS[name].label, KNOBS[name].help)
    assert controls.knobs["lr"].minimum == 0.01  # the range excludes 0
    assert 0 <= random_seed() < 2**53


def test_everything_that_computes_shares_one_turn(tiny: Janus):
    demo = build_demo(tiny)
    computing = [fn for fn in demo.fns.values() if fn.concurrency_id == "search"]
    assert [fn.name for fn in computing] == ["drive"] and computing[0].concurrency_limit == 1
    queued = {fn.name for fn in demo.fns.values() if fn.queue and fn.fn}
    assert queued == {"drive", "press_run", "press_step", "press_resume", "unload"}
    assert not demo.analytics_enabled


def test_app_reads_flags_and_environment():
    assert app.parse([], {}).port == 7860 and app.parse([], {}).host == "127.0.0.1"
    args = app.parse(["--critic", "self"], {"PORT": "81", "HOST": "::1", "MILR_MODEL": "m", "MILR_CRITIC": "c"})
    assert (args.port, args.host, args.model, args.critic) == (81, "::1", "m", "self")
    assert app.parse([], {"SPACE_ID": "a/b"}).host == "0.0.0.0"
    assert app.parse([], {"GRADIO_SERVER_NAME": "0.0.0.0"}).host == "0.0.0.0"


@pytest.mark.parametrize("flags", [["--model", "no-such-model"], ["--critic", "nobody"]])
def test_app_says_in_one_line_what_cannot_be_loaded(flags: list[str], capsys: pytest.CaptureFixture, tiny_folder: Path):
    assert app.main(["--model", str(tiny_folder), *flags]) == 2
    error = capsys.readouterr().err.strip()
    assert flags[1] in error.splitlines()[-1]


def test_views_and_session_do_not_know_gradio():
    for name in ("views", "figure", "session"):
        tree = ast.parse((Path(views.__file__).parent / f"{name}.py").read_text())
        imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        imported |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert not any(module.split(".")[0] == "gradio" for module in imported)
