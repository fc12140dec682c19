"""The handlers, driven as gradio drives them; and the app around them."""

import gc
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import app
from milr_core import Critic, CriticError, Janus, Score, SearchSettings, Step, reason
from milr_core.engine import Job, Options, singles
from milr_core.settings import KNOBS
from tests.ui_helpers import PROMPT, SETTINGS, Studio, controls, event, read, request, whole
from ui.engines.base import paid
from ui.engines.local import LocalEngine
from ui.layout import build_demo
from ui.panels.chips import chosen
from ui.panels.controls import GROUPS, LABELS, LIVE, OWN, random_seed
from ui.panels.scripted import picture_url
from ui.run import FAILED, FINISHED, PAUSED, STOPPED, WAITING, Run
from ui.session import Session


def undisturbed(studio: Studio, settings: SearchSettings = SETTINGS) -> list[Step]:
    return list(reason(studio.shared.engine.model, studio.shared.engine.judges.critic("redness"), PROMPT, settings))


def same(ours: Run, theirs: Run | list[Step]) -> bool:
    return read(whole(ours)) == read(whole(theirs) if isinstance(theirs, Run) else theirs)


def test_a_run_yields_every_step_and_finishes(studio: Studio):
    session = Session()
    pages = list(studio.drive(studio.press("press_run", session), session))
    assert session.phase == FINISHED and session.active is None
    assert same(session.shown, undisturbed(studio))
    assert [len(p["gallery"]["tiles"]) for p in pages] == [0, 1, 2, 3, 4, 5, 5]
    # A tile once shown is not sent again: only the flag of the best moves.
    images = [[tile["image"] for tile in p["gallery"]["tiles"]] for p in pages]
    assert images[3] == images[-1][:3] and len(set(images[-1])) == 5
    assert "step 4 of 4" in pages[-1]["status"]
    with Image.open(session.shown.steps[2].image) as image:
        assert image.size == (16, 16) and '"prompt": "two red dogs"' in image.text["milr"]
    assert studio.shared.seconds_a_step > 0 and session.shown.step(1).probabilities is not None


def test_pause_frees_the_line_and_resuming_continues_exactly(studio: Studio):
    session = Session()
    pages = studio.drive(studio.press("press_run", session), session)
    while session.shown.newest < 1:
        next(pages)
    studio.search.press_pause(session)
    last = list(pages)[-1]
    assert session.phase == PAUSED and session.shown.newest == 1 and "Paused" in last["status"]
    assert last["resume"]["visible"] and not last["pause"]["visible"]
    assert studio.shared.line.empty and not session.busy
    list(studio.resume(session))
    assert session.phase == FINISHED and same(session.shown, undisturbed(studio))


def test_step_makes_one_step_at_a_time(studio: Studio):
    session = Session()
    for count in range(1, 6):
        list(studio.drive(studio.press("press_step", session), session))
        assert session.shown.newest == count - 1
        assert session.phase == (FINISHED if count == 5 else PAUSED)
    assert same(session.shown, undisturbed(studio))


def test_stop_keeps_the_steps_and_can_be_resumed(studio: Studio):
    session = Session()
    pages = studio.drive(studio.press("press_run", session), session)
    next(pages), next(pages)
    studio.search.press_stop(session)
    last = list(pages)[-1]
    assert session.phase == STOPPED and "Stopped: step 0" in last["status"] and len(last["gallery"]["tiles"]) == 1
    assert last["run"]["interactive"] and not last["stop"]["interactive"] and last["resume"]["visible"]
    list(studio.resume(session))
    assert same(session.shown, undisturbed(studio))


def test_live_settings_act_at_the_next_step_and_survive_a_pause(studio: Studio):
    session = Session()
    pages = studio.drive(studio.press("press_run", session), session)
    next(pages), next(pages)
    values = {name: getattr(SETTINGS, name) for name in LIVE} | {"lr": 0.125}
    beside = studio.read(studio.controls.move_slider(session, *values.values()))
    assert "from the next step: <b>0.125</b>" in beside["lr_in_force"] and beside["notice"] == ""
    assert "since step 1: <b>0.125</b>" in next(pages)["lr_in_force"]
    studio.search.press_pause(session)
    list(pages)
    list(studio.resume(session))
    assert [s.settings.lr for s in session.shown.steps] == [0.5, 0.125, 0.125, 0.125, 0.125]
    assert all(s.settings.text_ratio == 0.5 for s in session.shown.steps)


def test_a_slider_out_of_range_changes_nothing(studio: Studio):
    session = Session()
    studio.press("press_run", session)
    values = {name: getattr(SETTINGS, name) for name in LIVE} | {"lr": 99.0, "temperature": 0.5}
    assert "lr lies in (0, 10]" in studio.read(studio.controls.move_slider(session, *values.values()))["notice"]
    assert session.shown.planned == SETTINGS


@pytest.mark.parametrize("typed", [None, 0, 0.0, -1])
def test_what_is_still_being_typed_is_waited_for(studio: Studio, typed: float | None):
    session = Session()
    studio.press("press_run", session)
    values = {name: getattr(SETTINGS, name) for name in LIVE} | {"lr": typed, "guidance": 4.0}
    beside = studio.read(studio.controls.move_slider(session, *values.values()))
    assert beside["notice"] == "" and session.shown.planned == replace(SETTINGS, guidance=4.0)


@pytest.mark.parametrize(
    ("settings", "prompt", "critic", "said"),
    [
        ({}, "two red zeppelins", "redness", "zeppelins"),
        ({}, "  ", "redness", "The prompt is empty"),
        ({}, "!!!", "redness", "does not know: !!!"),
        ({}, "a red \ud800 dog", "redness", "half of a character"),
        ({"steps": None}, PROMPT, "redness", "steps is a whole number"),
        ({"seed": -1}, PROMPT, "redness", "seed lies in"),
        ({}, PROMPT, "nobody", "There is no critic"),
    ],
)
def test_bad_input_is_said_and_nothing_is_queued(
    studio: Studio, settings: dict[str, Any], prompt: str, critic: str, said: str
):
    session = Session()
    knobs = list((SETTINGS.as_dict() | settings).values())
    asked = [*controls(prompt=prompt, critic=critic)[:6], *knobs]
    answer = studio.read(studio.search.press_run(request(), session, *asked))
    assert said in answer["notice"] and "ticket" not in answer
    assert session.phase == "idle" and not session.busy


@pytest.mark.parametrize("error", [CriticError("out of <credit>"), RuntimeError("boom")])
def test_a_failing_critic_keeps_the_steps_and_can_be_tried_again(studio: Studio, redness: Critic, error: Exception):
    class Flaky(Critic):
        name, calls = "flaky", 0

        def score(self, images: list[Image.Image], prompt: str) -> list[Score]:
            self.calls += 1
            if self.calls == 3:
                raise error
            return redness.score(images, prompt)

    studio.shared.engine.judges.shared["redness"] = Flaky()
    session = Session()
    pages = list(studio.drive(studio.press("press_run", session), session))
    assert session.phase == FAILED and session.shown.newest == 1 and "Failed after step 1" in pages[-1]["status"]
    assert (
        pages[-1]["resume"]["visible"]
        and escape(str(error)) in pages[-1]["notice"]
        and "Traceback" not in pages[-1]["notice"]
    )
    again = list(studio.resume(session))
    assert session.phase == FINISHED and session.shown.newest == 4 and again[-1]["notice"] == ""


def test_looking_back_pins_every_panel_until_the_newest_is_chosen(studio: Studio):
    session = Session()
    pages = studio.drive(studio.press("press_run", session), session)
    for _ in range(4):
        last = next(pages)
    assert last["stage"]["now"]["index"] == 2
    pinned = studio.look(session, 0)
    assert "step-000.png" in pinned["stage"]["now"]["image"] and "at step 0" in pinned["score"]
    after = next(pages)
    still = set(pinned) - {"score"}  # which step is the best may have changed
    assert {name: after[name] for name in still} == {name: pinned[name] for name in still}
    assert "at step 0" in after["score"]
    studio.look(session, 3)
    assert next(pages)["stage"]["now"]["index"] == 4


def test_what_a_step_is_compared_with_can_be_chosen(studio: Studio):
    session = Session()
    studio.finish(session)
    studio.look(session, 4)
    for against, step, other in (("previous", None, 3), ("first", None, 0), ("a step", 2, 2)):
        answer = studio.read(studio.inspector.look_against(session, against, step))
        assert answer["stage"]["before"]["index"] == other
        assert answer["against_step"]["visible"] == (against == "a step")


def test_a_fork_shares_its_past_and_goes_its_own_way(studio: Studio):
    session = Session()
    studio.finish(session)
    studio.look(session, 2)
    page = list(studio.drive(studio.press("press_fork", session, replace(SETTINGS, lr=0.05)), session))[-1]
    first, second = session.runs
    assert second.origin == "from step 2 of run 1" and session.shown is second
    assert (
        read(whole(second)[:3]) == read(whole(first)[:3])
        and [s.settings.lr for s in second.steps] == [0.5] * 3 + [0.05] * 2
    )
    assert not same(second, first)
    assert [run["number"] for run in page["runs"]] == [1, 2] and "run 1" in {d["name"] for d in page["plot"]["data"]}
    studio.inspector.choose(session, event(number=1))
    assert session.shown is first
    # The same settings: the same run.
    studio.look(session, 1)
    list(studio.drive(studio.press("press_fork", session), session))
    assert same(session.shown, first)


def test_a_fork_keeps_its_critic(studio: Studio):
    session = Session()
    studio.finish(session)
    studio.look(session, 2)
    answer = studio.press("press_fork", session, critic="oracle")
    assert "Run 1 was scored by redness" in answer["notice"]
    assert len(session.runs) == 1 and not session.busy


def test_a_fork_that_leaves_nothing_to_do_is_refused(studio: Studio):
    session = Session()
    studio.finish(session)
    studio.look(session, 4)
    answer = studio.press("press_fork", session)
    assert "leave nothing to search" in answer["notice"]
    assert len(session.runs) == 1


def test_runs_stay_beside_each_other_up_to_a_number(studio: Studio):
    session = Session(keep=6)
    quick = replace(SETTINGS, steps=0)
    for _ in range(7):
        studio.finish(session, quick)
    assert [run.number for run in session.runs] == list(range(2, 8)) and Session().keep >= 6


def test_a_comparison_puts_every_method_through_the_same_start(studio: Studio):
    session = Session()
    wanted = ["best-of-n", "joint", "text", "step 0"]
    answer = studio.compared(session, wanted)
    pages = list(studio.drive_comparison(answer, session))
    rows = session.comparison.rows
    assert [row.method for row in rows] == ["step 0", "text", "joint", "best-of-n"]
    assert len({tuple(row.run.step(0).image_tokens) for row in rows}) == 1
    assert [row.cost.image_rollouts for row in rows] == [1, 5, 5, 5]
    drawn = 1 + sum(row.cost.image_rollouts - 1 for row in rows)
    before = studio.compare.expect(wanted, "a & b", SETTINGS.steps, "redness", "none")
    assert f"At most {drawn} images" in before and "“a &amp; b”" in before
    assert same(rows[2].run, undisturbed(studio))
    assert "Finished: 4 of 4" in pages[-1]["compare_status"] and session.active is None
    studio.compare.inspect(session, event(method="joint"))
    studio.compare.inspect(session, event(method="joint"))
    assert session.runs == [rows[2].opened] and same(session.shown, rows[2].run)


def test_a_comparison_can_be_cancelled_and_excludes_a_search(studio: Studio):
    session = Session()
    pages = studio.drive_comparison(studio.compared(session, ["step 0", "joint", "alt"]), session)
    for _ in range(5):
        next(pages)
    refused = studio.press("press_run", session)
    assert "comparison of yours" in refused["notice"]
    studio.compare.press_cancel(session)
    list(pages)
    assert session.comparison.phase == STOPPED and not session.busy
    rows = session.comparison.rows
    made = [(row.method, row.done, len(row.run.steps)) for row in rows]
    assert made == [("step 0", True, 1), ("joint", False, 2), ("alt", False, 2)]
    shown = studio.read(studio.compare.shown(session))
    assert "1 of 3 methods, joint unfinished, alt unfinished" in shown["compare_status"]
    assert "running" not in shown["compare_table"]
    # Nothing is lost: the row that was under way can be looked at, and gone on with as if nothing had happened.
    studio.compare.inspect(session, event(method="joint"))
    assert session.phase == STOPPED and len(session.shown.steps) == 2
    list(studio.resume(session))
    assert same(session.shown, undisturbed(studio)) and len(rows[1].run.steps) == 2, "the row stays what it was"


def test_while_a_comparison_runs_the_inspector_holds_its_buttons_and_says_why(studio: Studio):
    session = Session()
    shown = studio.compared(session, ["step 0", "joint"])
    assert shown["compare_clock"]["active"] and "Starting" in studio.compare.said(session)
    studio.search.press_leave(session)
    assert session.busy, "Leave is for a search"
    pages = studio.drive_comparison(shown, session)
    for _ in range(4):
        next(pages)
    studio.compare.inspect(session, event(method="step 0"))
    looked = studio.read(studio.page.whole(session))
    assert "(Your comparison is running.)" in looked["status"] and "step 0 of 0" in looked["status"]
    assert not any(looked[name]["interactive"] for name in ("run", "pause", "one_step", "stop", "fork"))
    studio.search.press_pause(session)
    studio.search.press_stop(session)
    list(pages)
    assert session.comparison.phase == FINISHED
    looked = studio.read(studio.page.whole(session))
    assert looked["run"]["interactive"] and "comparison" not in looked["status"]


def test_visitors_wait_in_line_and_see_only_their_own(studio: Studio):
    first, second = Session(), Session()
    mine = studio.drive(studio.press("press_run", first), first)
    next(mine), next(mine)
    answer = studio.press("press_run", second, prompt="a blue car")
    said = answer["status"]
    assert "ahead of yours" in said and "About" in said
    assert "ahead of yours" in studio.read(studio.search.tick(second))["status"]
    list(mine)
    theirs = list(studio.drive(answer, second))
    assert first.shown.prompt == PROMPT and second.shown.prompt == "a blue car"
    mine, other = ({step.image for step in session.shown.steps} for session in (first, second))
    assert mine.isdisjoint(other)
    assert {tile["image"] for tile in theirs[-1]["gallery"]["tiles"]} == {picture_url(p) for p in other}


def test_leaving_the_line_voids_the_ticket(studio: Studio):
    session = Session()
    answer = studio.press("press_run", session)
    studio.search.press_leave(session)
    assert list(studio.drive(answer, session)) == []
    assert session.shown.steps == [] and session.phase == STOPPED
    again = studio.press("press_run", session)
    assert again["ticket"] > answer["ticket"] and len(list(studio.drive(again, session))) == 7


def test_a_key_goes_to_remote_critics_only_and_is_kept_nowhere(studio: Studio, tiny: Janus):
    assert singles("0.5*oracle + 0.5*gpt-4o") == ["oracle", "gpt-4o"] and singles(None) == []
    assert paid(["oracle", "none"]) == 0 and paid(["0.5*oracle+0.5*gpt-4o", "gpt-4o"]) == 2
    judges = studio.shared.engine.judges
    options, theirs = (Options(key="sk-secret", base_url="http://127.0.0.1:9") for _ in range(2))
    assert judges.critic("oracle", options) is judges.critic("oracle")
    mine = judges.critic("gpt-4o", options)
    assert judges.critic("gpt-4o", options) is mine and judges.critic("gpt-4o", theirs) is not mine
    for weight in range(1, 50):
        (_, oracle), (_, asked) = judges.critic(f"{weight}*oracle+gpt-4o", options).weighted
        assert oracle is judges.critic("oracle") and asked is mine, "nothing is loaded twice, however it is weighed"
    assert list(judges.shared) == ["redness", "oracle"]
    job = Job(PROMPT, SETTINGS, "gpt-4o", options=options)
    assert "sk-secret" not in repr(job) + str(options)
    del options, job
    gc.collect()
    assert len(judges._own) == 1


# The page and the app


def test_every_knob_has_a_control_with_its_default(studio: Studio):
    recommended, made = studio.shared.engine.facts.recommended, studio.controls
    assert list(made.knobs) == list(KNOBS)
    defaults = SearchSettings(seed=chosen()[0].seed).resolve(recommended).as_dict()
    assert {name: c.value for name, c in made.knobs.items()} == defaults
    for name, control in made.knobs.items():
        help_ = KNOBS[name].help + ("" if KNOBS[name].live else " Fixed once a run has begun.")
        said = (LABELS[name], None) if name in LABELS else (KNOBS[name].label, help_)
        assert name == "seed" or (control.label, control.info) == said
    assert {name for names in GROUPS.values() for name in names} | {*LABELS, "seed"} == set(KNOBS)
    assert made.knobs["lr"].minimum == 0.01  # the range excludes 0
    assert made.key.type == "password"
    assert 0 <= random_seed() < 2**53


def test_nothing_of_the_page_waits_for_another_visitor_and_one_endpoint_is_public(tiny: Janus):
    demo = build_demo(LocalEngine(tiny))
    queued = {fn.name: fn.concurrency_limit for fn in demo.fns.values() if fn.queue and fn.fn}
    assert {name for name, limit in queued.items() if limit is not None} == {"open_file"}
    assert set(queued) == {
        "watch", "press_run", "press_step", "press_fork", "press_resume", "press_compare", "press_move",
        "search_image", "search_image_steps", "arrive", "welcome", "open_file",
    }  # fmt: skip
    assert list(demo.get_api_info()["named_endpoints"]) == ["/search_image", "/search_image_picture"]
    assert not demo.get_api_info()["unnamed_endpoints"] and not demo.analytics_enabled


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


def test_a_preset_sets_the_knobs_of_the_next_run_only(studio: Studio):
    session, models_own = Session(), SearchSettings().resolve(studio.shared.engine.facts.recommended)
    chosen = studio.read(studio.controls.choose_preset(session, "coordinate"))
    assert (chosen["text_update"], chosen["text_ratio"], chosen["strategy"]) == ("coordinate", 1.0, "text")
    assert chosen["lr"] == models_own.lr, "what it leaves out, the model recommends"
    assert "seed" not in chosen and "steps" not in chosen
    own = studio.read(studio.controls.choose_preset(session, OWN))
    assert own["text_update"] == "adam" and own["text_ratio"] == models_own.text_ratio
    answer = studio.press("press_step", session)
    for phase in (WAITING, PAUSED):
        assert session.phase == phase
        refused = studio.read(studio.controls.choose_preset(session, "paper"))
        assert set(refused) == {"preset", "notice"} and refused["preset"]["value"] is None
        assert "next run" in refused["notice"]
        list(studio.drive(answer, session))
