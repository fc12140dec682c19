"""Searches on ZeroGPU: a machine whose GPU is lent for single calls, a visitor's quota of seconds at a time.

A call runs in a forked process; what goes in and out is pickled. A search is a row of calls of a few steps each, its
State handed back and forth. Stop acts after the step that is under way, live settings from the next call. States
travel as bytes: torch would share a tensor's memory with the other process, and keep a file open for each.

The model is loaded before the page opens, in the main thread, where the package `spaces` stands in for CUDA.
"""

import math
import os
import pickle
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import gradio as gr
import torch

from milr_core import CriticError, InputError, ModelError, SearchControl, State
from milr_core.errors import Stopped
from ui.engines.base import EngineError, Job, run
from ui.engines.local import LocalEngine

CALL_SECONDS = 8.0
"""A call makes as many steps as are expected to take this long: live settings wait no longer."""

MOST_STEPS = 8
"""Of one call."""

STARTING_SECONDS = 6.0
"""Of a call, before its first step: the process starts, and the weights move to the GPU."""

MARGIN = 1.5
"""What is asked for in proportion to what is expected: a call that takes longer is ended from outside."""

LEAST, MOST = 10, 110
"""Seconds that a call asks for. A visitor without an account has 120 a day, and a longer call is refused them."""

UNKNOWN = 10.0
"""Seconds taken for a step before any was measured."""

RECENT = 0.3
"""Weight of the newest step in the mean of seconds a step."""

QUOTA = "Anonymous visitors have 2 minutes a day, free accounts 5, PRO 40."


class Lend(Protocol):
    """`spaces.GPU`: makes a generator function run where the GPU is."""

    def __call__(self, *, duration: Callable[..., int]) -> Callable[[Callable[..., Iterator[bytes]]], Any]: ...


def seconds_of(call: bytes, seconds: int) -> int:
    """What a call asks for, of the call's own arguments."""
    return seconds


class ZeroEngine:
    """Searches of a few steps a call. Its parts are those of a `LocalEngine`, which does the work in the other process.

    lend: `spaces.GPU`, or what does as it does.
    """

    def __init__(self, local: LocalEngine, lend: Lend):
        self.local, self.facts, self.at_once = local, local.facts, local.at_once
        self.check = local.check
        self.seconds_a_step = UNKNOWN
        self._lock, self._process = threading.Lock(), os.getpid()
        self._under_way: WeakKeyDictionary[SearchControl, tuple[State, Generator[State, None, None]]] = (
            WeakKeyDictionary()
        )
        """By control: the newest state that a call has given, and the call."""
        self._call = lend(duration=seconds_of)(self._work)

    def cost(self, steps: int) -> str:
        size = self.steps_a_call
        calls = math.ceil((steps + 1) / size)
        seconds = (steps + 1) * self.seconds_a_step + calls * STARTING_SECONDS
        return f"About {seconds:.0f} s of GPU time, in {calls} calls of {size} steps at most. {QUOTA}"

    @property
    def steps_a_call(self) -> int:
        return max(1, min(MOST_STEPS, int(CALL_SECONDS / self.seconds_a_step)))

    def duration(self, steps: int) -> int:
        """Whole seconds to ask for, for a call of so many steps."""
        return max(LEAST, min(MOST, math.ceil(MARGIN * (STARTING_SECONDS + steps * self.seconds_a_step))))

    def step(self, job: Job, state: State | None, control: SearchControl) -> State | None:
        """As of `Engine`: the next state of the call that is under way, or the first of a new one."""
        try:
            control.poll()
        except Stopped:
            self.leave(control)
            raise
        after, made = self._under_way.get(control, (None, None))
        following = next(made, None) if made is not None and after is state else None
        if following is None:
            now = job.under(control)
            if state is not None and now.strategy.finished(state, now.settings):
                return None
            self.leave(control)
            made = self._lent(now, state)
            following = next(made)
        self._under_way[control] = following, made
        return following

    def leave(self, control: SearchControl) -> None:
        """Give the GPU back, where a call is under way."""
        _, made = self._under_way.pop(control, (None, None))
        if made is not None:
            made.close()

    def _lent(self, job: Job, state: State | None) -> Generator[State, None, None]:
        """The states of one call.

        Raises:
            What the search raises there. EngineError: the GPU was not lent, or taken away.
        """
        count = self.steps_a_call
        bare = state and replace(state, probabilities=None)  # as the search itself hands it on
        answers = self._call(pickle.dumps((job, bare, count)), self.duration(count))
        try:
            for answer in answers:
                made = pickle.loads(answer)
                if isinstance(made, Exception):
                    raise made
                self._took(made.step.cost.seconds)
                yield made
        except gr.Error as error:  # what `spaces` raises: no quota, no GPU, or a call that was ended
            said = str(error.message).strip().rstrip(".")
            if "abort" in said:  # it took longer than was asked for: ask for more the next time
                self._took(2 * self.seconds_a_step, 1.0)
            raise EngineError(f"{error.title}: {said}. The steps so far stay; resume to go on.") from error
        finally:
            answers.close()

    def _took(self, seconds: float, weight: float = RECENT) -> None:
        with self._lock:
            weight = 1.0 if self.seconds_a_step == UNKNOWN else weight
            self.seconds_a_step += weight * (seconds - self.seconds_a_step)

    def _work(self, call: bytes, seconds: int) -> Iterator[bytes]:
        """In the other process: up to `count` states, or the search's own exception last."""
        if os.getpid() != self._process:
            torch.set_num_threads(1)  # a forked process has no others
            self.local.judges.forked()
        job, state, count = pickle.loads(call)
        try:
            for _, step in zip(range(count), run(self.local, job, SearchControl(), state), strict=False):
                yield pickle.dumps(step.state)
        except (InputError, CriticError, ModelError) as error:
            yield pickle.dumps(error)
