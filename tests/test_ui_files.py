"""Files in and out of the page: export, replay, shipped examples, and the public endpoint."""

import asyncio
import json
import shutil
import zipfile
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import gradio as gr
import pytest
from PIL import Image

from milr_core import Trajectory
from milr_core.record import MadeBy
from tests.ui_helpers import PROMPT, SETTINGS, Studio, read, request, whole
from ui.api import build_api, build_tool
from ui.limits import Limits
from ui.panels.recorded_runs import SHIPPED, linked, shipped
from ui.panels.scripted import runs_folder
from ui.run import REPLAYED
from ui.session import Session


class Headers(gr.Request):
    """A request as it comes from the page at this address."""

    headers = {"referer": "http://here/?old=1"}


@pytest.fixture
def exported(studio: Studio) -> tuple[Session, list]:
    session = Session()
    studio.finish(session)
    answer = prepared(studio, session)
    assert answer["files"]["label"].startswith("Run 1 up to step 4")
    texts = (answer[name] for name in ("json", "command", "python", "link", "notice"))
    return session, [answer["files"]["value"], *texts]


def prepared(studio: Studio, session: Session) -> dict:
    return studio.read(studio.export.press_prepare(Headers(session_hash="a"), session))


def opened(studio: Studio, session: Session, file: str | Path) -> dict:
    answer = studio.recorded.open_file(session, str(file))
    return studio.read(answer)


def test_export_holds_the_whole_run(exported: tuple[Session, list]):
    session, (files, settings, command, python, link, notice) = exported
    bundle, sent, about, film = (Path(file) for file in files)
    html = sent.read_text()
    assert escape(link) in html and "<script" in html and len(html) < 2_000_000
    assert json.loads(settings)["settings"] == SETTINGS.as_dict() == json.loads(about.read_text())["settings"]
    with Image.open(film) as image:
        assert image.format == "WEBP" and image.n_frames == 5
    with zipfile.ZipFile(bundle) as archive:
        assert sum(name.endswith(".safetensors") for name in archive.namelist()) == 5
    assert link.startswith("http://here/?prompt=two+red+dogs&critic=redness") and notice == ""
    assert "reason" in command and "SearchSettings(" in python


def test_a_link_opens_a_copy_of_the_run_and_only_that_one(exported: tuple[Session, list], studio: Studio):
    session, (*_, link, _) = exported
    name = dict(parse_qsl(urlsplit(link).query))["run"]
    run = linked(name, studio.shared.folder(Session()))
    assert read(whole(run)) == read(whole(session.shown)) and run.phase == REPLAYED
    for other in (str(session.shown.folder.relative_to(runs_folder())), "../" + name, "0" * 32, ""):
        assert linked(other, studio.shared.folder(Session())) is None


def test_a_picture_fills_in_what_it_was_made_with_and_others_are_refused(
    exported: tuple[Session, list], studio: Studio, tmp_path: Path
):
    picture = shutil.copy(exported[0].shown.bundle.image_path(1), tmp_path / "picture.png")
    session = Session()
    page = opened(studio, session, picture)
    assert page["prompt"]["value"] == PROMPT and page["seed"]["value"] == SETTINGS.seed and session.runs == []
    assert "stand in the controls" in page["notice"]
    Image.new("RGB", (8, 8)).save(tmp_path / "other.png")
    assert "does not say what it was made with" in opened(studio, session, tmp_path / "other.png")["notice"]


def test_looking_at_a_recorded_run_leaves_the_controls_until_they_are_asked_for(
    exported: tuple[Session, list], studio: Studio
):
    session = Session()
    page = opened(studio, session, exported[1][0][0])
    assert "prompt" not in page and "lr" not in page and not page["one_step"]["interactive"]
    taken = studio.read(studio.recorded.take_over(session))
    assert taken["prompt"]["value"] == PROMPT and taken["lr"]["value"] == SETTINGS.lr


def test_an_exported_run_replays_and_goes_on_as_the_run_did(exported: tuple[Session, list], studio: Studio):
    session, (files, *_) = exported
    other = Session()
    page = opened(studio, other, files[0])
    assert other.phase == REPLAYED and "nothing is computed" in page["status"] and page["notice"] == ""
    ours, theirs = whole(other.shown), whole(session.shown)
    assert [(s.text, s.reward, s.probabilities) for s in ours] == [(s.text, s.reward, s.probabilities) for s in theirs]
    assert not page["resume"]["visible"] and page["fork"]["interactive"]
    studio.look(other, 1)
    list(studio.drive(studio.press("press_fork", other), other))
    assert [s.image_tokens for s in whole(other.shown)] == [s.image_tokens for s in theirs]
    # And the fork of a recorded run is exported whole.
    answer = prepared(studio, other)
    first = Path(answer["files"]["value"][0])
    assert answer["notice"] == "" and len(Trajectory.from_zip(first, first.parent / "back")) == 5


def test_a_run_of_other_weights_is_looked_at_but_not_continued(exported: tuple[Session, list], studio: Studio):
    session = Session()
    opened(studio, session, exported[1][0][0])
    session.shown.model = MadeBy(id="janus-icons", weights_hash="0")
    studio.look(session, 1)
    answer = studio.press("press_fork", session)
    assert "other weights" in answer["notice"] and len(session.runs) == 1


def rewritten(source: str, target: Path, change) -> Path:
    """The zip with each (name, data) passed through `change`, which gives pairs."""
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w") as made:
        for name in archive.namelist():
            for new, data in change(name, archive.read(name)):
                made.writestr(new, data)
    return target


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda name, data: [("../" + name, data)], "which a run bundle does not"),
        (lambda name, data: [(name, b"{" if name.endswith("jsonl") else data)], "no run bundle"),
        (lambda name, data: [(name, data.replace(b'"critic":"', b'"critic":"\\ud800'))], "cannot be read"),
        (lambda name, data: [(name, data.replace(b'"schema":2', b'"schema":9'))], "schema 9"),
        (lambda name, data: [(name, b"GIF89a" if name.endswith("png") else data)], "not the image"),
        (lambda name, data: [] if name.endswith("jsonl") else [(name, data)], "does not hold a run"),
    ],
)
def test_a_hostile_file_is_refused_with_a_sentence(exported, studio: Studio, tmp_path: Path, change, said: str):
    session = Session()
    page = opened(studio, session, rewritten(exported[1][0][0], tmp_path / "evil.zip", change))
    assert said in page["notice"] and session.runs == [] and "Traceback" not in page["notice"]
    assert not any(session.folder.rglob("*.png")), "nothing of it is left"


@pytest.mark.parametrize(
    ("grown", "said"),
    [
        ({"parts": {f"part {i}": 0.5 for i in range(20_000)}}, "no valid parts"),
        ({"parts": {"x" * 30_000: 0.5}}, "no valid parts"),
        ({"observed": {str(i): {"value": 0.5, "parts": {}, "reason": ""} for i in range(200)}}, "no valid observed"),
    ],
)
def test_a_bundle_that_would_fill_the_page_is_refused(exported, studio: Studio, tmp_path: Path, grown: dict, said: str):
    def grow(name: str, data: bytes) -> list[tuple[str, bytes]]:
        if not name.endswith(".jsonl"):
            return [(name, data)]
        lines = data.splitlines()
        lines[2] = json.dumps(json.loads(lines[2]) | grown).encode()
        return [(name, b"\n".join(lines) + b"\n")]

    session = Session()
    page = opened(studio, session, rewritten(exported[1][0][0], tmp_path / "large.zip", grow))
    assert said in page["notice"] and session.runs == [] and len(page["notice"]) < 500


def test_a_file_that_is_no_zip_is_refused(studio: Studio, tmp_path: Path):
    (tmp_path / "x.zip").write_text("hello")
    assert "not a zip" in opened(studio, Session(), tmp_path / "x.zip")["notice"]


def test_nothing_to_export_is_said(studio: Studio):
    assert "nothing to export" in prepared(studio, Session())["notice"]


@pytest.mark.parametrize("about", shipped(), ids=lambda about: about["file"])
def test_shipped_runs_open_and_are_small(studio: Studio, about: dict[str, str]):
    session = Session()
    answer = studio.recorded.open_example(about)(session)
    page = studio.read(answer)
    assert page["notice"] == "" and session.shown.step(0).probabilities is not None
    kind = about["title"].partition(":")[0].lower()
    assert kind in ("it gets better", "a riddle") or kind in page["flags"], "what it is called after is in sight"
    assert (SHIPPED / about["file"]).stat().st_size < 300_000


async def called(studio: Studio, **given: Any) -> list[dict]:
    """What the endpoint answers; its turn is computed as on the page, in a thread."""
    studio.shared.line.start = studio.shared.line._in_thread
    return [answer async for answer in build_api(studio.shared)(request(), **given)]


def test_the_endpoint_streams_steps_and_ends_with_the_bundle(studio: Studio, tmp_path: Path):
    asked = {"prompt": PROMPT, "critic": "redness", "steps": "2", "threshold": 0.95, "seed": "3"}
    answers = asyncio.run(called(studio, **asked))
    assert [len(answer["steps"]) for answer in answers] == [1, 2, 3, 3]
    assert "bundle" not in answers[2] and set(answers[2]["steps"][0]) >= {"text", "reward", "flags", "seconds"}
    back = Trajectory.from_zip(answers[-1]["bundle"]["path"], tmp_path / "back")
    assert len(back) == 3 and back.prompt == PROMPT and studio.shared.line.empty
    best = answers[-1]["steps"][answers[-1]["best"]]
    assert best["reward"] == max(step["reward"] for step in answers[-1]["steps"])


def test_an_agent_is_given_the_picture_first(studio: Studio):
    studio.shared.line.start = studio.shared.line._in_thread
    picture, told = asyncio.run(build_tool(studio.shared)(request(), PROMPT, "redness", steps=1))
    assert Image.open(picture["path"]).format == "PNG" and picture["meta"] == {"_type": "gradio.FileData"}
    assert len(told["steps"]) == 2 and "image" not in told


def test_a_call_waits_in_the_line_of_visitors_and_counts_its_searches(studio: Studio):
    session, shared = Session(), studio.shared
    shared.limits = Limits(searches=1)

    async def call() -> None:
        answers = build_api(shared)(request(), PROMPT, critic="redness", steps=2, threshold=0.95)
        asking = asyncio.ensure_future(anext(answers))
        while shared.line.empty:
            await asyncio.sleep(0.01)
        studio.press("press_run", session)
        shared.took(1.0)
        assert shared.place(session).ahead == 1
        assert "ahead of yours. About 3.0 s" in studio.read(studio.search.tick(session))["status"]
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    asyncio.run(call())
    with pytest.raises(gr.Error, match="1 searches from one address are all"):
        asyncio.run(called(studio, prompt=PROMPT, critic="redness"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"prompt": "two red zeppelins"}, "does not know: zeppelins"),
        ({"prompt": "x" * 5000}, "prompt has 5000 characters, and 4000 are taken"),
        ({"steps": 10**310}, "steps lies in"),
        ({"seed": -(10**310)}, "seed lies in"),
        ({"lr": 10**310}, "lr lies in"),
        ({"threshold": "9" * 400}, "threshold"),
        ({"prompt": 5}, "prompt is text; got 5"),
        ({"steps": 65}, "64 steps at most"),
        ({"steps": "four"}, "steps is given as 'four', which is no number"),
        ({"lr": 99.0}, "lr lies in"),
        ({"critic": "nobody"}, "There is no critic 'nobody'"),
        ({"critic": ["oracle"]}, "critic is text; got"),
        ({"observer": {}}, "observer is text; got"),
        ({"critic": "or\ud800acle"}, "critic holds half of a character"),
    ],
)
def test_the_endpoint_says_what_is_wrong(studio: Studio, given: dict, said: str):
    with pytest.raises(gr.Error, match=said):
        asyncio.run(called(studio, **{"prompt": PROMPT, "critic": "redness"} | given))
