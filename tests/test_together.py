"""Searches that are decoded in one batch against the same searches alone."""

import threading
import time
from dataclasses import replace

import pytest

from milr_core import InputError, SearchControl, SearchSettings, Workspace, reason, reason_together, together
from milr_core.critics.base import Critic
from milr_core.errors import CriticError

PROMPTS = ["a dog", "two red dogs left of a blue car", "a cat", "two red dogs"]
SETTINGS = [
    SearchSettings(steps=3, seed=1, lr=0.3, text_ratio=0.5),
    SearchSettings(steps=1, seed=2, lr=0.3, guidance=2.0),
    SearchSettings(steps=4, seed=3, lr=0.3, strategy="image", image_ratio=0.3, positions="random"),
    SearchSettings(steps=2, seed=1, lr=0.3, strategy="text"),
]


def threads() -> int:
    return sum(thread.name.startswith("Thread") for thread in threading.enumerate())


def test_searches_together_are_the_searches_alone(tiny, redness):
    before = threads()
    together = [[] for _ in PROMPTS]
    for index, step in reason_together(tiny, redness, PROMPTS, SETTINGS):
        together[index].append(step)
    for prompt, settings, steps in zip(PROMPTS, SETTINGS, together, strict=True):
        alone = list(reason(tiny, redness, prompt, settings))
        assert [s.text for s in steps] == [s.text for s in alone]
        assert [s.image_tokens for s in steps] == [s.image_tokens for s in alone]
        assert [s.reward for s in steps] == pytest.approx([s.reward for s in alone], abs=1e-6)
        assert len({tuple(s.image_tokens) for s in steps}) == settings.steps + 1
    assert threads() == before


def test_what_is_wrong_is_said_before_anything_is_decoded(tiny, redness):
    with pytest.raises(InputError, match="each with its settings"):
        reason_together(tiny, redness, PROMPTS, SETTINGS[:1])
    with pytest.raises(InputError, match="empty"):
        reason_together(tiny, redness, ["a dog", " "], SETTINGS[:2])
    with pytest.raises(InputError, match="GiB of memory is free. Use a smaller batch."):
        Workspace(tiny).cache("image", 10**9, 64)


class FailsOnTheThird(Critic):
    name = "fails"

    def __init__(self, critic):
        self.critic, self.calls = critic, 0

    def score(self, images, prompt):
        self.calls += 1
        if self.calls == 3:
            raise CriticError("the judge has gone home")
        return self.critic.score(images, prompt)


def test_a_failing_critic_ends_all_of_them_and_no_thread_stays(tiny, redness):
    before, steps, critic = threads(), [], FailsOnTheThird(redness)
    with pytest.raises(CriticError, match="gone home"):
        for _, step in reason_together(tiny, critic, PROMPTS, SETTINGS):
            steps.append(step)
    assert len(steps) == critic.calls - 1 >= 2, "what was scored is not lost, whichever thread was first"
    assert threads() == before


def test_stopping_and_closing_end_all_of_them(tiny, redness):
    before, control = threads(), SearchControl()
    endless = [replace(s, steps=500) for s in SETTINGS]
    seen = 0
    for _, _ in reason_together(tiny, redness, PROMPTS, endless, control):
        seen += 1
        if seen == 6:
            control.stop()
    assert seen < 6 + 2 * len(PROMPTS) and threads() == before
    steps = reason_together(tiny, redness, PROMPTS, endless)
    next(steps)
    steps.close()
    assert threads() == before


@pytest.mark.parametrize("calls", [1, 2, 3, 4])
def test_a_decode_that_fails_is_raised_whoever_ran_it(tiny, redness, monkeypatch, calls):
    """By a search that asks, or by one that leaves and decodes for those that wait: never a wait without end."""
    left = [calls]
    forward = tiny.stack.runtime.forward

    def fails(x, cache):
        if len(x) > 1 and x.shape[1] > 1:  # a prompt of several rows is filled in: a batch begins
            left[0] -= 1
            if left[0] < 0:
                raise RuntimeError("out of memory")
        return forward(x, cache)

    leave = together._Batch.leave

    def late(batch, index):
        time.sleep(0.3)  # the others ask meanwhile, so that the one that leaves decodes for them
        leave(batch, index)

    monkeypatch.setattr(tiny.stack.runtime, "forward", fails)
    monkeypatch.setattr(together._Batch, "leave", late)
    before = threads()
    settings = [replace(SETTINGS[0], steps=steps) for steps in (0, 3, 3)]  # the first leaves while the others wait
    with pytest.raises(RuntimeError, match="out of memory"):
        list(reason_together(tiny, redness, PROMPTS[:3], settings))
    assert threads() == before
