"""Which model is loaded for everybody: the loading of another one, what a deployment allows, and how the app starts."""

import asyncio
import gc
import threading
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import app
from milr_core import Critic, InputError, Loading, SearchControl
from milr_core.engine import Job, run
from milr_core.settings import KNOBS
from tests.conftest import write_tiny_janus
from tests.ui_helpers import PROMPT, SETTINGS, Studio
from ui.api import build_api
from ui.engines import local as local_engines
from ui.engines.local import LocalEngine, make_local
from ui.engines.models import EMBEDDED, JANUS_PRO, Models, needs
from ui.layout import build_demo
from ui.limits import Limits
from ui.panels.controls import LIVE
from ui.panels.model_picker import header
from ui.run import FAILED, FINISHED
from ui.session import Session


@pytest.fixture(scope="module")
def other_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_tiny_janus(tmp_path_factory.mktemp("models") / "tiny-other", seed=1)
    (folder / "milr.json").write_text(
        '{"reasoning_template": "plan {prompt}", "max_text_tokens": 20, "recommended": {"lr": 0.07}, "can_draw": "<x>"}'
    )
    return folder


@pytest.fixture
def models(tiny_folder: Path, other_folder: Path) -> Models:
    return Models(str(tiny_folder), [str(other_folder)])


@pytest.fixture
def studio(studio: Studio, models: Models) -> Studio:
    """The page with its choice of models."""
    return choosing(studio, models)


def choosing(studio: Studio, models: Models) -> Studio:
    made = Studio(studio.shared.engine, models, pace=studio.shared.pace)
    models.use = made.shared.use
    return made


def look(studio: Studio, name: str) -> str:
    return studio.read(studio.picker.look(Session(), name))["needs"]


def loaded(models: Models, name: str) -> None:
    models.load(name)
    models.thread.join()


def knobs(answer: dict) -> dict[str, object]:
    return {name: update for name, update in answer.items() if name in KNOBS}


def test_another_model_is_loaded_for_everybody_and_their_controls_follow(
    studio: Studio, models: Models, tiny_folder: Path
):
    session = Session()
    assert knobs(studio.read(studio.picker.arrive(session))) == {}
    assert studio.read(studio.picker.tick(session)) == {}, "nothing changed"
    assert [name for _, name in models.choices] == [tiny_folder.name, "tiny-other"]  # no folder's path
    loaded(models, "tiny-other")
    answer = studio.read(studio.picker.tick(session))
    assert "<b>tiny-other</b>: ready, on cpu, float32" in answer["header"] and "&lt;x&gt;" in answer["about"]
    assert answer["model"]["value"] == "tiny-other" and answer["load"]["interactive"]
    assert {name: update["value"] for name, update in knobs(answer).items()} == dict(
        studio.shared.engine.facts.recommended
    )
    assert studio.shared.engine.facts.name == "tiny-other" and models.loaded == "tiny-other"
    newcomer = Session()  # the page itself was made for the model before
    assert knobs(studio.read(studio.picker.arrive(newcomer)))["lr"]["value"] == 0.07 and newcomer.model == session.model


def test_loading_is_shown_and_one_at_a_time(studio: Studio, tiny_folder: Path, other_folder: Path):
    begin, go_on = threading.Event(), threading.Event()

    def slow(name: str, progress) -> LocalEngine:
        progress(Loading("download", 0.4, "Downloading <it>: 40%"))
        begin.set()
        assert go_on.wait(20)
        return make_local(name, progress)

    models = Models(str(tiny_folder), [str(other_folder), EMBEDDED], slow)
    studio, session = choosing(studio, models), Session()
    picker = studio.picker
    picker.arrive(session)
    assert studio.read(picker.press_load(session, "tiny-other")) == {"needs": "", "refused": ""} and begin.wait(20)
    seen = studio.read(picker.tick(session))
    assert "Downloading &lt;it&gt;: 40%" in seen["header"] and 'role="status"' in seen["header"]
    assert not seen["model"]["interactive"] and not seen["load"]["interactive"]
    assert "One model is loaded at a time" in studio.read(picker.press_load(session, EMBEDDED))["refused"]
    # Everybody goes on with the model before.
    list(studio.drive(studio.press("press_run", session), session))
    assert session.phase == FINISHED
    go_on.set()
    models.thread.join()
    assert "Downloading" not in studio.read(picker.tick(session))["header"]


def test_a_model_that_cannot_be_loaded_leaves_the_one_before(
    studio: Studio, tiny_folder: Path, tmp_path: Path, monkeypatch
):
    broken = write_tiny_janus(tmp_path / "hidden" / "broken")
    (broken / "model.safetensors").write_bytes(b"nothing")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    models = Models(str(tiny_folder), [str(broken), "nobody/has-this"])
    studio = choosing(studio, models)
    before, picker = studio.shared.engine, studio.picker
    for name in ("broken", "nobody/has-this"):
        mine, other = Session(), Session()
        picker.press_load(mine, name)
        models.thread.join()
        assert mine.model_problem.startswith(f"{name} was not loaded, and {tiny_folder.name} stays.")
        assert "hidden" not in mine.model_problem and 'role="alert"' not in header(before.facts, models)
        assert "was not loaded" in studio.read(picker.tick(mine))["refused"]
        assert studio.read(picker.tick(other))["refused"] == "", "it is nobody else's"
        picker.look(mine, tiny_folder.name)
        assert mine.model_problem == ""
    assert studio.shared.engine is before and models.loaded == tiny_folder.name
    assert "is not among them" in studio.read(picker.press_load(Session(), "/etc"))["refused"]
    assert "is not among them" in studio.read(picker.look(Session(), "/etc"))["needs"]
    assert "is the model that is loaded" in studio.read(picker.press_load(Session(), tiny_folder.name))["refused"]


def test_what_a_model_takes_is_said_before(studio: Studio, models: Models, monkeypatch: pytest.MonkeyPatch):
    models.offer([JANUS_PRO, "deepseek-ai/Janus-Pro-7B"])
    assert [name for _, name in models.choices][2:] == [JANUS_PRO, "deepseek-community/Janus-Pro-7B"]
    monkeypatch.setattr("milr_core.janus.free_bytes", lambda device: 12e9)
    assert "It takes 10.4 GB on cpu, where 12.0 are free." in look(studio, JANUS_PRO)
    assert "One step takes about 12 min on this machine" in look(studio, JANUS_PRO)
    assert "does not fit" in look(studio, "deepseek-community/Janus-Pro-7B")
    assert needs(EMBEDDED).fits and "step" not in needs(EMBEDDED).words


def test_no_model_is_changed_under_a_search_and_no_search_goes_on_with_another(studio: Studio, models: Models):
    mine, waiting, compared = Session(), Session(), Session()
    pages = studio.drive(studio.press("press_run", mine), mine)
    next(pages), next(pages)
    assert "Searches are under way" in studio.read(studio.picker.press_load(mine, "tiny-other"))["refused"]
    studio.search.press_pause(mine)
    list(pages)
    studio.picker.arrive(waiting)
    ticket = studio.press("press_run", waiting)
    other = studio.compared(compared, ["step 0"])
    loaded(models, "tiny-other")  # as one that was begun before they came
    last = list(studio.resume(mine))[-1]
    assert mine.phase == FAILED and "with other weights than tiny-other has here" in last["notice"]
    list(studio.drive(ticket, waiting))
    assert waiting.shown.steps == [] and "other weights" in waiting.notice
    assert "other weights" in list(studio.drive_comparison(other, compared))[-1]["compare_notice"]
    # The controls are still set for the model before: nothing begins until they are not.
    answer = studio.press("press_run", waiting)
    assert "tiny-other has been loaded for everybody meanwhile" in answer["notice"]
    studio.picker.tick(waiting)
    studio.shared.engine.judges.shared["redness"] = studio.shared.engine.judges.critic("oracle")
    assert isinstance(studio.press("press_run", waiting)["ticket"], int)
    assert waiting.shown.model.id == "tiny-other"


# What a deployment allows


def test_limits_are_read_and_checked():
    assert Limits.read({}) == Limits() and Limits.read({"SPACE_ID": "a/b"}).steps_at_most == 64
    read = Limits.read({"MILR_QUEUE": " 7 ", "MILR_STEPS_AT_MOST": "9", "MILR_MODELS": "a/b, c,", "SPACE_ID": "a/b"})
    assert (read.queue, read.steps_at_most, read.models) == (7, 9, ("a/b", "c"))
    for value in ("x", "0", "-1", "1e3", "²", "99999"):
        with pytest.raises(InputError, match="MILR_QUEUE is a whole number from 1 to 10000"):
            Limits.read({"MILR_QUEUE": value})


def test_limits_hold(studio: Studio, tmp_path: Path):
    studio.shared.limits = Limits(steps_at_most=4, searches=2, idle_minutes=1)
    session = Session()
    answer = studio.press("press_run", session, replace(SETTINGS, steps=5))
    assert "Steps K lies in [0, 4] on this page" in answer["notice"]
    with pytest.raises(Exception, match="Steps K lies in"):
        asyncio.run(anext(build_api(studio.shared)(None, PROMPT, critic="redness", steps=5)))
    list(studio.drive(studio.press("press_run", session), session))
    live = {name: getattr(SETTINGS, name) for name in LIVE} | {"steps": 5}
    studio.press("press_run", session)
    assert "Steps K lies in [0, 4]" in studio.read(studio.controls.move_slider(session, *live.values()))["notice"]
    studio.search.press_leave(session)
    answer = studio.press("press_run", session)
    assert "started its 2 searches" in answer["notice"]
    session.touched -= 61
    studio.shared.sweep()
    assert session.runs == [] and "Nothing was computed here for 1 minutes" in session.notice


def test_nothing_keeps_a_model_that_was_replaced(tiny, tiny_folder: Path):
    before, models = LocalEngine(tiny), Models(str(tiny_folder))
    demo, gone = build_demo(before, models=models), weakref.ref(before)
    del before
    gc.collect()
    assert gone() is not None and demo.fns
    models.use(LocalEngine(tiny))
    gc.collect()
    assert gone() is None


def test_a_page_is_built_within_its_limits(tiny, tiny_folder: Path):
    demo = build_demo(LocalEngine(tiny), limits=Limits(steps_at_most=3), models=Models(str(tiny_folder)))
    assert not demo.analytics_enabled
    by_id = {block.elem_id: block for block in demo.blocks.values()}
    assert by_id["knob-steps"].maximum == by_id["knob-steps"].value == 3
    assert not by_id["models"].visible  # there is nothing to choose


def test_the_first_model_is_sized_for_the_machine():
    plan = app.plan
    assert plan(None, False, False) == plan(None, True, False) == app.Plan(EMBEDDED, JANUS_PRO, where_it_fits=True)
    assert plan("a/b", False, False) == app.Plan("a/b")
    assert plan("a/b", True, False) == app.Plan(EMBEDDED, then="a/b")
    assert plan(None, True, True) == app.Plan(EMBEDDED, then=JANUS_PRO)
    assert plan("a/b", True, True) == app.Plan(EMBEDDED, then="a/b")
    assert plan(EMBEDDED, True, True) == app.Plan(EMBEDDED)
    assert app.on_zero_gpu({"SPACES_ZERO_GPU": "true"}) and not app.on_zero_gpu({})


def test_janus_pro_follows_where_a_gpu_has_room_for_it(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch):
    made = []
    for device, room, follows in (("cpu", 1e12, False), ("cuda", 1e9, False), ("cuda", 1e12, True)):
        monkeypatch.setattr("milr_core.janus.default_device", lambda device=device: device)
        monkeypatch.setattr("milr_core.janus.free_bytes", lambda _, room=room: room)
        models = Models(str(tiny_folder), make=lambda name, progress: made.append(name))
        needs.cache_clear()
        app.follow(models, app.plan(None, False, False), Limits(models=(EMBEDDED,)))
        models.wait()
        assert (JANUS_PRO in dict(models.choices).values()) == follows
    needs.cache_clear()
    assert made == [JANUS_PRO]


def test_a_model_that_is_not_there_is_refused_before_the_page_opens(capsys: pytest.CaptureFixture):
    assert app.main(["--model", "no-such-model"]) == 2
    assert "There is no model 'no-such-model'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["deepseek-ai/Janus-Pro-1B", "no-such-model"])
def test_what_a_space_was_to_have_is_loaded_with_the_page_open_or_it_says_why(
    name: str, tiny_folder: Path, studio: Studio, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    models = Models(str(tiny_folder))
    app.follow(models, app.Plan(str(tiny_folder), then=name), Limits(models=(EMBEDDED,)))
    models.thread.join()
    shown = name.replace("deepseek-ai", "deepseek-community")
    assert [name for _, name in models.choices] == [tiny_folder.name, EMBEDDED, shown]
    assert models.problem.startswith(f"{shown} was not loaded, and {tiny_folder.name} stays.")


def test_the_help_lists_every_setting(capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit):
        app.main(["--help"])
    said = capsys.readouterr().out
    for name in (
        "QUEUE",
        "STEPS_AT_MOST",
        "RUNS_KEPT",
        "SEARCHES",
        "IDLE_MINUTES",
        "CACHE_HOURS",
        "MODELS",
        "SHARE",
        "GRACE",
        "DISK",
        "CRITICS",
        "HOSTS",
    ):
        assert f"MILR_{name}" in said


def test_the_app_watches_nobody(monkeypatch: pytest.MonkeyPatch, tiny_folder: Path, capsys: pytest.CaptureFixture):
    given = {}

    def launch(demo, **options):
        given.update(options, analytics=demo.analytics_enabled)
        raise OSError("the port is taken")

    monkeypatch.setattr("gradio.Blocks.launch", launch)
    monkeypatch.setenv("MILR_QUEUE", "7")
    assert app.main(["--model", str(tiny_folder)]) == 2
    assert given["enable_monitoring"] is False and given["analytics"] is False
    assert "port is taken" in capsys.readouterr().err
    monkeypatch.setenv("MILR_QUEUE", "many")
    assert app.main(["--model", str(tiny_folder)]) == 2
    assert "MILR_QUEUE is a whole number from 1 to 10000; got 'many'." in capsys.readouterr().err


def test_a_small_model_leaves_a_core_to_the_page(tiny_folder: Path, redness: Critic, monkeypatch: pytest.MonkeyPatch):
    seen, before = [], torch.get_num_threads()

    class Counting(type(redness)):
        def score(self, images, prompt):
            seen.append(torch.get_num_threads())
            return super().score(images, prompt)

    monkeypatch.setattr(local_engines, "default_device", lambda: "cpu")
    monkeypatch.setattr(local_engines, "THREADS", 2)
    try:
        for small, threads in ((local_engines.SMALL, 1), (0, 2)):
            monkeypatch.setattr(local_engines, "SMALL", small)
            engine = make_local(str(tiny_folder), lambda _: None)
            engine.judges.shared["redness"] = Counting()
            torch.set_num_threads(3 - threads)  # as another thread than the one that loaded it may have it
            list(run(engine, engine.check(Job(PROMPT, SETTINGS, "redness")), SearchControl()))
            assert engine.threads == threads and set(seen) == {threads}
            seen.clear()
    finally:
        torch.set_num_threads(before)
