"""The page opens before its engine is there: what it imports for that, and what becomes of searches begun meanwhile."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import app
import milr_core
from milr_core import Critic, InputError
from milr_core.engine import Job
from milr_core.janus import Progress
from tests.conftest import write_tiny_janus
from tests.ui_helpers import PROMPT, SETTINGS, Studio, request
from ui.api import build_api
from ui.engines.base import EngineError
from ui.engines.local import LocalEngine, make_local
from ui.engines.models import Models
from ui.engines.unloaded import Unloaded, announced
from ui.limits import Limits
from ui.run import FAILED, FINISHED, WAITING
from ui.session import Session

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "transformers", "scipy", "onnxruntime", "accelerate", "sklearn", "matplotlib")
BUILT = f"""
import sys
import app
from ui.layout import build_demo
engine, models = app.engines(app.plan(None, False, False), False, "oracle")
app.check_critic("oracle")
build_demo(engine, "oracle", models=models)
print([name for name in {HEAVY} if name in sys.modules])
"""


class Held:
    """Makes engines that are there once a test says so, or not at all."""

    def __init__(self, critic: Critic, fails: bool = False):
        self.critic, self.fails = critic, fails
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self, name: str, progress: Progress) -> LocalEngine:
        self.begun.set()
        assert self.go_on.wait(60)
        if self.fails:
            raise InputError("A file is damaged.")
        engine = make_local(name, progress, "cpu")
        engine.judges.shared["redness"] = self.critic
        return engine


@pytest.fixture
def held(redness: Critic) -> Iterator[Held]:
    made = Held(redness)
    yield made
    made.go_on.set()


def opened(folder: Path, make: Held) -> tuple[Studio, Models]:
    """The page with its first model on the way."""
    models = Models("", [str(folder)], make)
    studio = Studio(Unloaded(announced(str(folder))), models)
    models.use = studio.shared.use
    models.load(folder.name)
    assert make.begun.wait(60)
    return studio, models


def in_place(models: Models, make: Held) -> None:
    make.go_on.set()
    models.wait()


def test_the_page_is_built_without_the_libraries_that_compute():
    made = subprocess.run([sys.executable, "-c", BUILT], cwd=ROOT, capture_output=True, text=True, check=False)
    assert made.stdout.strip() == "[]", made.stdout + made.stderr


def test_every_name_of_the_library_is_there_when_it_is_asked_for():
    assert all(getattr(package, name) for package in (milr_core, milr_core.janus) for name in package.__all__)
    assert set(milr_core.__all__) <= set(dir(milr_core))
    with pytest.raises(AttributeError, match="module 'milr_core' has no attribute 'reasons'"):
        _ = milr_core.reasons  # pyright: ignore[reportAttributeAccessIssue]


def test_what_a_folder_says_of_its_model_is_what_the_model_says(embedded: milr_core.Janus):
    before, facts = announced("janus-icons"), LocalEngine(embedded).facts
    assert (before.name, before.recommended, before.can_draw) == (facts.name, facts.recommended, facts.can_draw)
    assert (before.weights_hash, before.device) == ("", "") and before.weights_bytes > 1e7
    assert announced("deepseek-ai/Janus-Pro-1B").name == "deepseek-community/Janus-Pro-1B"


def test_a_search_waits_for_the_engine_says_so_and_then_runs(tiny_folder: Path, held: Held):
    studio, models = opened(tiny_folder, held)
    session = Session()
    arrived = studio.read(studio.picker.arrive(session))
    assert f'<b>{tiny_folder.name}</b>: <span role="status">Loading' in arrived["header"] and models.opened.is_set()
    pressed = studio.press("press_run", session, SETTINGS)
    assert pressed["status"] == "Loading the engine: this begins as soon as it is there." and session.phase == WAITING
    assert studio.read(studio.search.tick(session))["status"] == pressed["status"] and pressed["leave"]["visible"]
    assert not session.turn.begun
    in_place(models, held)
    assert session.turn.begun, "it is its turn"
    list(studio.drive(pressed, session))
    assert session.phase == FINISHED and len(session.shown.steps) == SETTINGS.steps + 1
    assert session.shown.model == studio.shared.engine.facts.made_by
    after = studio.read(studio.picker.tick(session))
    assert "ready, on cpu" in after["header"] and not set(after) & {"lr", "text_ratio"}, "settings stay as they were"
    assert session.model == studio.shared.engine.facts.weights_hash


def test_a_comparison_and_a_call_wait_as_well(tiny_folder: Path, held: Held):
    studio, models = opened(tiny_folder, held)
    session = Session()
    pressed = studio.compared(session, ["step 0"])
    assert "Loading the engine" in pressed["compare_status"]

    async def called() -> dict:
        answers = build_api(studio.shared)(request(), PROMPT, critic="redness", steps=0)
        first = asyncio.ensure_future(anext(answers))
        await asyncio.sleep(0)
        assert not first.done() and studio.shared.loading
        await asyncio.to_thread(in_place, models, held)
        return await first

    studio.shared.line.start = studio.shared.line._in_thread  # nobody drives these turns
    answer = asyncio.run(called())
    assert answer["steps"][0]["reward"] >= 0 and session.comparison.phase == FINISHED, "it was first in the line"


def test_what_cannot_be_drawn_is_refused_without_the_model(held: Held):
    studio, models = opened(Path("janus-icons"), held)
    session = Session()
    refused = studio.press("press_run", session, prompt="a red xylophonist")
    assert "xylophonist" in refused["notice"] and session.phase != WAITING and not models.loaded
    assert "The prompt is empty" in studio.press("press_run", session, prompt=" ")["notice"]


def test_a_model_that_cannot_be_loaded_is_told_in_the_page_and_to_who_waits(tiny_folder: Path, redness: Critic):
    make = Held(redness, fails=True)
    studio, models = opened(tiny_folder, make)
    session = Session()
    studio.picker.arrive(session)
    pressed = studio.press("press_run", session)
    in_place(models, make)
    said = f"{tiny_folder.name} was not loaded. A file is damaged."
    seen = studio.read(studio.picker.tick(session))
    assert said in seen["header"] and 'role="alert"' in seen["header"] and "not loaded" in seen["header"]
    assert seen["accordion"]["visible"], "it can be tried again there"
    list(studio.drive(pressed, session))
    assert session.phase == FAILED and session.notice == said and not session.shown.steps
    assert said in studio.press("press_run", Session())["notice"]
    with pytest.raises(EngineError, match="A file is damaged"):
        studio.shared.engine.check(Job(PROMPT, SETTINGS, "redness"))
    make.fails = False
    models.load(tiny_folder.name)
    models.wait()
    list(studio.resume(session))
    assert session.phase == FINISHED


def test_a_visitor_who_loads_a_model_first_is_not_in_the_way(
    tiny_folder: Path, held: Held, capsys: pytest.CaptureFixture
):
    _, models = opened(tiny_folder, held)
    app.begin(models, str(tiny_folder))
    assert "One model is loaded at a time: wait for it." in capsys.readouterr().err
    in_place(models, held)
    assert models.loaded == tiny_folder.name


def test_a_broken_checkpoint_leaves_the_page_and_the_operator_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    broken = write_tiny_janus(tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"nothing")
    planned = app.plan(str(broken), False, False)
    _, models = app.engines(planned, False, "oracle")
    models.opened.set()
    app.load(models, planned, Limits(models=("janus-icons",)))
    assert models.problem.startswith("broken was not loaded.") and models.problem in capsys.readouterr().err
    assert [name for _, name in models.choices] == ["broken", "janus-icons"], "another one may be loaded"
