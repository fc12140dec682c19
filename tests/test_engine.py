"""An engine's steps, one by one, are the search's; the loop over them is one."""

import gc
import pickle
import weakref
from dataclasses import replace

import pytest

from milr_core import InputError, SearchControl, State, Step, best_of_n, reason
from milr_core.engine import Job, run
from tests.test_search import PROMPT, SETTINGS, key

JOB = Job(PROMPT, SETTINGS, "redness")


def test_steps_asked_for_one_by_one_are_those_of_the_search(engine, tiny, redness):
    state, made = None, []
    while (state := engine.step(JOB, pickle.loads(pickle.dumps(state)), SearchControl())) is not None:
        made.append(state.step)
        assert isinstance(state, State) and state.probabilities is not None
    whole = list(reason(tiny, redness, PROMPT, SETTINGS))
    assert [key(step) for step in made] == [key(step) for step in whole]
    assert [key(step) for step in run(engine, JOB, SearchControl())] == [key(step) for step in whole]
    assert [key(step) for step in run(engine, JOB, SearchControl(), whole[2].state)] == [key(s) for s in whole[3:]]


def test_best_of_n_is_the_same_loop(engine, tiny, redness):
    job = replace(JOB, method="best-of-n")
    made = list(run(engine, job, SearchControl()))
    there = list(best_of_n(tiny, redness, PROMPT, SETTINGS.steps + 1, SETTINGS))
    assert [key(step) for step in made] == [key(step) for step in there]
    assert {step.method for step in made} == {"best-of-n"}
    assert {step.method for step in run(engine, JOB, SearchControl())} == {"search"}


def test_live_settings_act_from_the_next_step_and_a_stop_ends_the_loop(engine):
    control, made = SearchControl(), []
    for step in run(engine, JOB, control):
        made.append(step)
        if step.index == 1:
            control.change(lr=0.01, steps=9)
        if step.index == 6:
            control.stop()
    assert [step.settings.lr for step in made] == [0.5, 0.5, *[0.01] * 5]


def test_what_is_kept_between_steps_goes_with_the_loop(engine):
    control = SearchControl()
    steps = run(engine, JOB, control)
    assert isinstance(next(steps), Step)
    kept = weakref.ref(engine._under_way[control][1])
    steps.close()
    gc.collect()
    assert kept() is None and control not in engine._under_way


def test_a_job_is_checked_before_anyone_waits_for_it(engine):
    assert engine.check(replace(JOB, prompt=f" {PROMPT} ")).prompt == PROMPT
    for wrong in ({"prompt": ""}, {"critic": "nobody"}, {"observers": ("redness", "redness")}):
        with pytest.raises(InputError):
            engine.check(replace(JOB, **wrong))
