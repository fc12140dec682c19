"""What outlives a page: the visit, its runs on disk, its place in the line, and a search that goes on."""

import asyncio
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from milr_core import Critic, InputError, Score
from tests.ui_helpers import PROMPT, SETTINGS, Studio, read, request, whole
from ui.limits import Limits
from ui.panels.run_buttons import RunButtons
from ui.redraw_pace import Pace
from ui.run import AT_HAND, FINISHED, PAUSED, RUNNING, Run
from ui.session import Session
from ui.shared_state import visitor
from ui.storage import Storage, claim_folder
from ui.waiting_list import Turn, WaitingList


def turn(visitor: str = "") -> Turn:
    return Turn(lambda: iter(()), lambda: 3, visitor)


def test_a_browser_finds_its_visit_again_and_no_other_does(studio: Studio):
    mine, shared = Session(), studio.shared
    studio.finish(mine)
    key = shared.arrive("", mine).key
    assert len(key) > 30 and shared.arrive(key, Session()) is mine
    for other in ("", "0" * len(key), None, 5, ["x"], key[:-1]):
        stranger = shared.arrive(other, Session())
        assert stranger is not mine and stranger.runs == [] and stranger.key != key


def test_what_a_page_was_used_for_before_its_browser_was_known_stays(studio: Studio):
    session = Session()
    studio.press("press_run", session)
    assert studio.shared.arrive("", session) is session and session.busy


def test_a_run_keeps_outlines_in_memory_and_its_steps_on_disk(studio: Studio):
    session = Session()
    studio.finish(session, replace(SETTINGS, steps=9))
    run = session.shown
    assert len(run.steps) == 10 and len(run._at_hand) == AT_HAND and all(s.state is None for s in run._at_hand.values())
    assert all(Path(step.image).is_file() for step in run.steps)
    assert len({id(step.settings) for step in run.steps}) == 1, "settings that stay are one object"
    first = run.step(0)
    assert first.text and first.probabilities is not None and run.state(3).index == 3
    page = studio.look(session, 1)
    assert "at step 1" in page["score"] and page["stage"]["before"]["index"] == 0


def test_a_finished_run_shows_its_best_step(studio: Studio):
    class Falling(Critic):
        name, values = "falling", iter((0.5, 0.75, 0.25, 0.125, 0.0))

        def score(self, images: list[Image.Image], prompt: str) -> list[Score]:
            return [Score(next(self.values), {}, "")]

    studio.shared.engine.judges.shared["redness"] = Falling()
    session = Session()
    page = studio.finish(session)
    best = session.shown.best
    assert session.phase == FINISHED and session.looked_at == best != session.shown.newest
    assert page["stepper"]["index"] == best and not page["stepper"]["follow"] and page["stage"]["now"]["index"] == best


async def answers(studio: Studio, buttons: RunButtons, ticket: int, session: Session, until: int = 99) -> list[dict]:
    made = []
    async for answer in buttons.watch(ticket, session):
        made.append(studio.read(answer))
        if len(made) == until:
            break
    return made


def test_a_search_goes_on_without_its_page_and_is_watched_again(studio: Studio):
    shared, session = studio.shared, Session()
    shared.line.start = shared.line._in_thread
    ticket = studio.press("press_run", session, replace(SETTINGS, steps=12))["ticket"]
    left = asyncio.run(answers(studio, studio.search, ticket, session, until=2))
    assert left[0]["phase"] in ("waiting", "running")
    back = shared.arrive(session.key, Session())
    seen = asyncio.run(answers(studio, studio.search, back.ticket, back))
    assert back.phase == FINISHED and len(seen[-1]["gallery"]["tiles"]) == 13 and seen[-1]["phase"] == FINISHED
    other = Session()
    ticket = studio.press("press_run", other, replace(SETTINGS, steps=12))["ticket"]
    asyncio.run(answers(studio, studio.search, ticket, other))
    assert read(whole(other.shown)) == read(whole(back.shown)), "the same steps as an undisturbed one"


def test_updates_are_rare_and_the_last_has_all(studio: Studio):
    shared, session = studio.shared, Session()
    shared.pace, shared.line.start = lambda: Pace(every=3600), shared.line._in_thread
    ticket = studio.press("press_run", session)["ticket"]
    seen = asyncio.run(answers(studio, studio.search, ticket, session))
    assert len(seen) <= 3 and len(seen[-1]["gallery"]["tiles"]) == 5, "waiting, running, and the end"


def test_a_visitor_who_stays_away_gives_way(studio: Studio):
    shared, session = studio.shared, Session()
    shared.limits = Limits(grace=60)
    pages = studio.drive(studio.press("press_run", session), session)
    next(pages), next(pages)
    session.heard -= 50
    shared.sweep()
    assert session.phase == RUNNING
    session.heard -= 20
    shared.sweep()
    assert list(pages) == [] and session.phase == PAUSED and len(session.shown.steps) == 1 and shared.line.empty
    assert shared.arrive(session.key, Session()) is session, "the steps are there on return"
    list(studio.resume(session))
    assert session.phase == FINISHED


def test_a_visit_that_did_nothing_for_long_is_forgotten(studio: Studio):
    shared, session = studio.shared, Session()
    studio.finish(session)
    folder, key = session.folder, session.key
    session.touched -= 60 * shared.limits.idle_minutes + 1
    shared.sweep()
    assert not folder.exists() and session.runs == [] and "so the runs were cleared" in session.notice
    session.heard -= shared.limits.grace + 1
    shared.sweep()
    assert shared.arrive(key, other := Session()) is other


def test_the_line_is_left_full_and_shared():
    line, begun = WaitingList(at_once=1, places=4, share=2), []
    line.start = begun.append
    mine, second, others = turn("a"), turn("a"), turn("b")
    for each in (mine, second, others):
        line.join(each)
    assert begun == [mine] and [len(line.before(each)) for each in (mine, second, others)] == [0, 1, 2]
    with pytest.raises(InputError, match="2 searches of yours are waiting or running"):
        line.join(turn("a"))
    line.join(turn(""))
    with pytest.raises(InputError, match="4 searches are waiting here already"):
        line.join(turn("c"))
    line.leave(mine)
    assert line.holds(mine), "what computes ends first"
    line.leave(second)
    line.end(mine)
    assert begun == [mine, others] and not line.before(others)


def test_a_turn_that_raises_leaves_the_line(caplog: pytest.LogCaptureFixture):
    def broken():
        raise RuntimeError("boom")
        yield

    line, done = WaitingList(), threading.Event()
    line.join(Turn(broken, lambda: 1))

    def last():
        done.set()
        yield

    line.join(Turn(last, lambda: 1))
    assert done.wait(20) and "boom" in caplog.text


def test_a_full_line_says_so_in_the_page(studio: Studio):
    studio.shared.line.places = 1
    first, second = Session(), Session()
    studio.press("press_run", first)
    page = studio.press("press_run", second)
    assert "1 searches are waiting here already" in page["notice"] and not second.busy and "ticket" not in page
    assert "1 searches are waiting here already" in studio.compared(second, ["step 0"])["compare_notice"]


def test_files_grow_old_and_live_visits_keep_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    storage, old = Storage(hours=1, mebibytes=1), time.time() - 7200
    for name in ("gone/a.png", "live/b.png", "young/c.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(bytes(600_000))
        if "young" not in name:
            os.utime(tmp_path / name, (old, old))
    storage.sweep([tmp_path / "live"])
    assert not (tmp_path / "gone/a.png").exists() and (tmp_path / "live/b.png").exists()
    assert storage.used == 1_200_000
    with pytest.raises(InputError, match="no room for another run"):
        storage.check()
    storage.delete("/etc/passwd")
    (tmp_path / "milr" / "visit").mkdir(parents=True)
    for kept in (tmp_path / "milr" / "visit", tmp_path / "milr" / "visit" / "x.png"):
        storage.delete(kept)
    assert (tmp_path / "milr" / "visit").is_dir(), "only an upload is deleted"
    storage.delete(tmp_path / "young" / "c.png")
    assert not (tmp_path / "young").exists()


def test_a_folder_that_is_not_ours_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("")
    for name in ("GRADIO_TEMP_DIR", "MILR_DATA"):
        monkeypatch.setenv(name, str(tmp_path / "file" / "x"))
        with pytest.raises(InputError, match=r"cannot be written to .*file/x .* set MILR_DATA or GRADIO_TEMP_DIR"):
            claim_folder(os.environ)
    monkeypatch.setenv("MILR_DATA", str(tmp_path / "data"))
    assert claim_folder(os.environ) == tmp_path / "data" == Path(os.environ["GRADIO_TEMP_DIR"])


def test_only_ten_runs_stay_and_the_oldest_leaves_the_disk(studio: Studio):
    session = Session(keep=2)
    for _ in range(3):
        studio.finish(session, replace(SETTINGS, steps=0))
    assert [run.number for run in session.runs] == [2, 3]
    assert len([folder for folder in session.folder.iterdir() if any(folder.iterdir())]) == 2


def test_long_texts_are_refused_before_anything_is_done_with_them(studio: Studio):
    session = Session()
    for given, said in (
        ({"prompt": "x" * 20_000_000}, "prompt has 20000000 characters"),
        ({"critic": "y" * 501}, "critic has"),
    ):
        assert said in studio.press("press_run", session, **given)["notice"]
    assert not session.runs and len(studio.shared.engine.judges.shared) <= 1


def test_a_fork_is_whole_on_disk(studio: Studio):
    session = Session()
    studio.finish(session)
    run: Run = session.shown
    fork = run.fork(2, studio.shared.folder(session))
    assert (
        read(whole(fork)) == read(whole(run)[:3])
        and fork.bundle.folder != run.bundle.folder
        and fork.state(2).index == 2
    )


def test_an_address_is_that_of_the_nearest_proxy():
    assert visitor(request()) == "" == visitor(None)
    assert PROMPT
