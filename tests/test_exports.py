"""Exported scripts and commands make the run that they were exported from; links set what they name."""

import shlex
from dataclasses import replace
from html import unescape
from itertools import pairwise
from pathlib import Path

import gradio as gr
import pytest
from starlette.requests import Request

from milr_core import SearchSettings, Step, Trajectory
from milr_core.cli import main
from milr_core.export.recipe import as_command, as_python
from tests.conftest import EVERY_STEP
from tests.ui_helpers import Studio, controls, request, whole
from ui.engines.local import LocalEngine
from ui.limits import Limits
from ui.panels import export
from ui.panels.export import FRAMES, filmed, recipe
from ui.run import Run
from ui.session import Session

PROMPT = "two red dogs left of a blue car"
SETTINGS = SearchSettings(
    strategy="joint", text_ratio=0.5, image_ratio=0.02, lr=0.03, guidance=1.5, steps=3, threshold=1.0, seed=5
)
ASKED = {"settings": SETTINGS, "prompt": PROMPT, "critic": "oracle"}


@pytest.fixture
def studio(embedded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Studio:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    return Studio(LocalEngine(embedded), pace=EVERY_STEP)


def said(step: Step) -> tuple:
    return step.index, step.text, step.text_tokens, step.image_tokens, step.reward


def run_script(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """What the exported Python makes; it looks at its steps by `print`."""
    made, monkeypatched = [], {"print": lambda *_: made.append(said(scope["step"]))}
    scope = dict(monkeypatched)
    monkeypatch.chdir(folder)
    exec(compile(as_python(recipe(run)), "exported.py", "exec"), scope)
    assert len(list(folder.glob("step-*.png"))) == len(made)
    return made


def compared(studio: Studio, method: str) -> Run:
    session = Session()
    list(studio.drive_comparison(studio.compared(session, ["step 0", method], **ASKED), session))
    return session.comparison.opened(method).run


def moved(studio: Studio) -> Run:
    """A search whose learning rate is moved on the way, and that is watched."""
    session, asked = Session(), controls(**ASKED)
    asked[2] = "self"
    answer = studio.read(studio.search.press_run(request(), session, *asked))
    for page in studio.drive(answer, session):
        if "step 1 of 3" in page["status"] and "Running" in page["status"]:
            session.shown.change(lr=0.06)
    assert [step.settings.lr for step in session.shown.steps] == [0.03, 0.03, 0.06, 0.06]
    assert set(session.shown.steps[0].observed) == {"self"}
    return session.shown


def forked(studio: Studio, run: Run) -> Run:
    """From step 1 on under another strategy, a step further."""
    session = Session()
    session.begin(run)
    studio.look(session, 1)
    other = replace(SETTINGS, strategy="image", steps=4)
    list(studio.drive(studio.press("press_fork", session, **ASKED | {"settings": other}), session))
    assert [step.settings.strategy for step in session.shown.steps][2:] == ["image"] * 3
    return session.shown


def stopped(studio: Studio) -> Run:
    """After step 1 of 3."""
    session = Session()
    for page in studio.drive(studio.press("press_run", session, **ASKED), session):
        if "step 1 of 3" in page["status"]:
            studio.search.press_stop(session)
    assert session.shown.newest == 1
    return session.shown


def searched(studio: Studio) -> Run:
    session = Session()
    studio.finish(session, **ASKED)
    return session.shown


MADE = {
    "searched": searched,
    "moved": moved,
    "stopped": stopped,
    "step 0": lambda studio: compared(studio, "step 0"),
    "compared": lambda studio: compared(studio, "text"),
    "best-of-n": lambda studio: compared(studio, "best-of-n"),
    "forked": lambda studio: forked(studio, searched(studio)),
    "best-of-n forked": lambda studio: forked(studio, compared(studio, "best-of-n")),
}


@pytest.mark.parametrize("how", MADE)
def test_an_exported_script_makes_the_same_run(how: str, studio: Studio, tmp_path: Path, monkeypatch):
    run = MADE[how](studio)
    folder = tmp_path / "script"
    folder.mkdir()
    assert run_script(run, folder, monkeypatch) == [said(step) for step in whole(run)]


def test_a_long_run_is_filmed_in_sixty_frames_with_its_best(studio: Studio):
    steps = searched(studio).steps
    long = [replace(steps[i % 4], index=i, best=31) for i in range(601)]
    at = [step.index for step in filmed(long)]
    assert len(at) <= FRAMES and at == sorted(set(at)) and {0, 31, 600} <= set(at)
    assert max(b - a for a, b in pairwise(at)) <= 11 and filmed(steps) == steps


def test_a_bundle_too_large_for_the_page_comes_with_one_that_is_not(studio: Studio, monkeypatch, tmp_path: Path):
    session = Session()
    studio.finish(session, **ASKED)
    visit = visited("")
    answer = studio.read(studio.export.press_prepare(visit, session))
    assert answer["notice"] == ""
    limit = Path(answer["files"]["value"][0]).stat().st_size - 1
    monkeypatch.setattr(export, "LARGEST_FILE", limit)
    answer = studio.read(studio.export.press_prepare(visit, session))
    whole, short, *_ = map(Path, answer["files"]["value"])
    assert "run.zip has 0 MiB" in answer["notice"] and "It opens run-without-latents.zip" in answer["notice"]
    assert short.stat().st_size < limit < whole.stat().st_size
    assert (
        len(Trajectory.from_zip(short, tmp_path / "short")) == len(Trajectory.from_zip(whole, tmp_path / "whole")) == 4
    )


@pytest.mark.parametrize("how", ["searched", "step 0", "compared"])
def test_an_exported_command_makes_the_same_run(how: str, studio: Studio, tmp_path: Path, monkeypatch, capsys):
    run = MADE[how](studio)
    monkeypatch.chdir(tmp_path)
    python, module, name, *words = shlex.split(as_command(recipe(run)))
    assert (python, module, name) == ("python", "-m", "milr_core") and main(words) == 0
    made = Trajectory.open(tmp_path / "RUN")
    assert [said(made.state(i).step) for i in range(len(made))] == [said(step) for step in whole(run)]


def test_a_command_says_what_it_cannot_repeat(studio: Studio):
    assert as_command(recipe(moved(studio))).startswith("# The settings were changed")
    assert as_command(recipe(stopped(studio))).startswith("# The run was stopped at step 1")
    assert as_command(recipe(compared(studio, "best-of-n"))).startswith("# Best-of-N has no command")


def visited(query: str) -> gr.Request:
    """The page opened by a link."""
    at = {"type": "http", "path": "/", "headers": [], "query_string": query.encode(), "server": ("here", 80)}
    return gr.Request(Request(at), "visitor")


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("critic=nobody", "There is no critic 'nobody'"),
        ("critic=oracle&observer=2*oracle%2B3", "'3' is no critic"),
        ("observer=nobody", "There is no critic 'nobody'"),
        ("steps=1001", "steps lies in"),
        ("steps=65", "Steps K lies in [0, 64] on this page"),
        ("prompt=a+dog&lr=x", "no number"),
    ],
)
def test_a_link_that_cannot_be_used_changes_nothing_and_says_why(studio: Studio, query: str, problem: str):
    studio.shared.limits = Limits(steps_at_most=64)
    answer = studio.read(studio.export.restore(visited(query), Session()))
    assert problem in unescape(answer["notice"]) and "The link was not used." in answer["notice"]
    assert set(answer) == {"notice"}


def test_a_link_sets_what_it_names(studio: Studio):
    query = "prompt=a+red+dog&critic=0.5*oracle%2B0.5*self&observer=none&steps=7"
    answer = studio.read(studio.export.restore(visited(query), Session()))
    assert {name: update["value"] for name, update in answer.items()} == {
        "prompt": "a red dog", "critic": "0.5*oracle+0.5*self", "observer": "none", "steps": 7,
    }  # fmt: skip
