"""The visitor's own lane of a race: it waits for a choice at every step while the others fill."""

from dataclasses import replace

import pytest
import torch

from milr_core import InputError, SearchControl, Trajectory
from milr_core.engine import Job, run
from milr_core.export.recipe import as_command, as_python
from tests.test_search import key
from tests.ui_helpers import PROMPT, SETTINGS, Studio, event, request
from ui.panels.export import recipe
from ui.run import FINISHED, PAUSED, RUNNING
from ui.session import Session
from ui.tabs.comparison import YOU, Move

QUICK = replace(SETTINGS, steps=3)


def move(studio: Studio, session: Session, what: str, lr=0.5, word: int = 0, becomes: str = "") -> dict:
    chosen = event(what=what, lr=lr, word=word, becomes=becomes)
    return studio.read(studio.compare.press_move(request(), session, chosen))


def play(studio: Studio, session: Session, *chosen, **more) -> dict:
    """A move in a turn of its own; the last page."""
    return list(studio.drive_comparison(move(studio, session, *chosen, **more), session))[-1]


def begun(studio: Studio, session: Session, settings=QUICK) -> list[dict]:
    return list(studio.drive_comparison(studio.compared(session, ["joint", YOU], settings), session))


def test_the_others_fill_while_the_lane_waits_and_its_step_comes_between_theirs(studio: Studio):
    session = Session()
    pages = studio.drive_comparison(studio.compared(session, ["joint", YOU], QUICK), session)
    for _ in range(3):
        page = next(pages)
    joint, yours = session.comparison.rows
    assert (len(joint.run.steps), len(yours.run.steps)) == (2, 1) and session.comparison.phase == RUNNING
    assert page["compare_hand"]["ready"] and page["compare_hand"]["words"]
    assert move(studio, session, "image") == {}, "the turn that computes makes it"
    next(pages)
    assert (len(joint.run.steps), len(yours.run.steps)) == (2, 2)
    last = list(pages)[-1]
    assert joint.done and not yours.done and session.comparison.phase == PAUSED and not session.busy
    assert "Your move" in last["compare_status"] and last["compare_cancel"]["interactive"]
    assert [len(lane["images"]) for lane in last["compare_lanes"]] == [4, 2]
    assert len({tuple(row.run.step(0).image_tokens) for row in (joint, yours)}) == 1


def test_each_step_moves_what_was_chosen_and_the_lane_ends_as_the_others_do(studio: Studio):
    session = Session()
    begun(studio, session)
    for what, lr in (("text", 0.5), ("image", 0.25), ("joint", 0.125)):
        page = play(studio, session, what, lr)
    yours = session.comparison.yours
    made = [(step.settings.strategy, step.settings.lr) for step in yours.run.steps[1:]]
    assert made == [("text", 0.5), ("image", 0.25), ("joint", 0.125)]
    assert [sorted(yours.run.step(k).update_norm) for k in (1, 2, 3)] == [["text"], ["image"], ["image", "text"]]
    assert session.comparison.phase == FINISHED and "2 of 2" in page["compare_status"]
    assert not page["compare_hand"]["ready"] and yours.cost.image_rollouts == 4
    assert "for step in reason" in as_python(recipe(yours.run)), "settings are all that was changed"


def test_a_word_of_the_plan_is_changed_and_what_is_before_it_stays(studio: Studio):
    session = Session()
    page = begun(studio, session)[-1]
    at = page["compare_hand"]["words"][2][0]
    before = session.comparison.yours.run.step(0)
    page = play(studio, session, "word", word=at)
    step = session.comparison.yours.run.step(1)
    assert step.text_tokens[:at] == before.text_tokens[:at] and step.text_tokens[at] != before.text_tokens[at]
    assert step.method == "by hand" and step.text_positions == [at] and step.update_norm["text"] > 0
    play(studio, session, "word", word=at, becomes="apple")
    yours = session.comparison.yours.run
    assert yours.step(2).token_strings[at].strip() == "apple"
    # It cannot be drawn again from settings, and says so; on disk it goes on from any step.
    assert "by hand" in as_python(recipe(yours)) and "by hand" in as_command(recipe(yours))
    opened = Trajectory.open(yours.folder)
    assert [s.method for s in opened.steps()] == [s.method for s in yours.steps]
    assert torch.equal(opened.state(2).latents["text"].positions, torch.tensor([at]))


def test_a_word_that_there_is_not_is_said_and_chosen_anew(studio: Studio):
    session = Session()
    begun(studio, session)
    page = play(studio, session, "word", becomes="apple dragonfly")
    assert "is not one word" in page["compare_hand"]["said"] and page["compare_hand"]["ready"]
    assert "is none at 900" in play(studio, session, "word", word=900)["compare_hand"]["said"]
    for wrong in ({"what": "sound"}, {"what": "text", "lr": "x"}, {"what": "word", "word": "1"}):
        assert "compare_hand" in move(studio, session, **wrong)
    assert len(session.comparison.yours.run.steps) == 1 and session.comparison.phase == PAUSED
    play(studio, session, "text")
    assert len(session.comparison.yours.run.steps) == 2


def test_cancel_ends_the_lane_and_a_search_may_run_between_moves(studio: Studio):
    session = Session()
    begun(studio, session)
    studio.finish(session, QUICK)
    assert session.runs[0].newest == 3
    page = studio.read(studio.compare.press_cancel(session))
    assert session.comparison.phase == FINISHED and "2 of 2" in page["compare_status"]
    assert move(studio, session, "text") == {}


def test_moves_by_hand_pass_through_an_engine(tiny, redness, studio: Studio):
    engine, job = studio.shared.engine, Job(PROMPT, QUICK, "redness")
    first = next(run(engine, job, SearchControl()))
    once, again = (next(run(engine, replace(job, by_hand=(1, "")), SearchControl(), first.state)) for _ in range(2))
    assert key(once) == key(again) and once.text_tokens[1] != first.text_tokens[1]
    with pytest.raises(InputError, match="stands there already"):
        next(run(engine, replace(job, by_hand=(1, first.token_strings[1])), SearchControl(), first.state))
    with pytest.raises(InputError, match="words, cells, both"):
        Move("sound", 0.1)


def test_runs_of_the_visit_scrub_side_by_side(studio: Studio):
    session = Session()
    studio.finish(session, QUICK)
    studio.finish(session, replace(QUICK, lr=0.25))
    shown = studio.read(studio.compare.side_by_side(session))
    assert [lane["name"] for lane in shown["compare_runs"]] == ["run 1", "run 2"]
    assert "Learning rate" in shown["compare_runs_differing"] and "λt" not in shown["compare_runs_differing"]
