"""Searches on ZeroGPU: a machine whose GPU is lent for single calls, a visitor's quota of seconds at a time.

A call runs in a forked process; what goes in and out is pickled. Both the calls and their seconds are counted, so a
search is a row of calls of as many steps as fit, its State handed back and forth. Stop and live settings act after the
step that is under way. States travel as bytes: torch would share a tensor's memory with the other process, and keep a
file open for each.

The model is loaded before the page opens, in the main thread, where the package `spaces` stands in for CUDA.
"""

import math
import os
import pickle
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import gradio as gr
import torch

from milr_core import CriticError, InputError, SearchControl, State, Step
from milr_core.errors import Stopped
from ui.engines.base import EngineError, Job
from ui.engines.local import LocalEngine

MOST_STEPS = 32
"""Of one call."""

STARTING_SECONDS = 6.0
"""Of a call, before its first step: the process starts, and the weights move to the GPU."""

MARGIN = 1.5
"""What is asked for in proportion to what is expected: a call that takes longer is ended from outside."""

LEAST = 10
"""Seconds that a call asks for at least."""

QUOTA_OF_A_CALL = 90.0
"""Seconds of quota that a call takes at most. A visitor without an account has 120 a day: a call that asks for more
than is left is refused, so that one of 110 would spend the day's quota on whoever tried anything before."""

LARGE_BYTES = 45_000_000_000
"""What fits the usual share of the card; beyond it a call asks for the whole card, at twice the quota."""

UNKNOWN = 10.0
"""Seconds taken for a step before any was measured."""

RECENT = 0.3
"""Weight of the newest step in the mean of seconds a step."""

QUOTA = "A day has 2 minutes for visitors without an account, 5 for free accounts, 40 for PRO, and a number of calls."


class Lend(Protocol):
    """`spaces.GPU`: makes a generator function run where the GPU is."""

    def __call__(
        self, *, duration: Callable[..., int], size: Literal["large", "xlarge"] | None = None
    ) -> Callable[[Callable[..., Iterator[bytes]]], Any]: ...


def seconds_of(call: bytes, seconds: int) -> int:
    """What a call asks for, of the call's own arguments."""
    return seconds


@dataclass(frozen=True)
class Calls:
    """What a search takes. steps: in each call. asked: seconds of quota that each call asks for."""

    steps: tuple[int, ...]
    asked: tuple[int, ...]


class ZeroEngine:
    """Searches of as many steps a call as fit. The work is a `LocalEngine`'s, in the other process.

    lend: `spaces.GPU`, or what does as it does. factor: seconds of quota for a second asked of this machine's card.
    """

    def __init__(self, local: LocalEngine, lend: Lend, factor: float = 1.0, whole_card: bool = False):
        self.local, self.facts, self.at_once = local, local.facts, local.at_once
        self.check = local.check
        self.seconds_a_step = UNKNOWN
        self.factor = 2.0 if whole_card else factor
        self._lock, self._process = threading.Lock(), os.getpid()
        self._call = lend(duration=seconds_of, size="xlarge" if whole_card else None)(self._work)

    def cost(self, steps: int) -> str:
        calls = self.calls(steps + 1)
        count = len(calls.steps)
        took = (steps + 1) * self.seconds_a_step + count * STARTING_SECONDS
        return (
            f"About {self.factor * took:.0f} s of GPU quota in {count} call{'s' * (count > 1)}; a call asks for up to "
            f"{max(calls.asked)} s, which must be left. {QUOTA}"
        )

    def calls(self, steps: int) -> Calls:
        """How so many steps, step 0 among them, are made with what is known now."""
        size = self.steps_a_call
        sizes = [size] * (steps // size) + [steps % size] * (steps % size > 0)
        return Calls(tuple(sizes), tuple(round(self.factor * self.duration(one)) for one in sizes))

    @property
    def most(self) -> int:
        """Seconds that a call asks for at most."""
        return int(QUOTA_OF_A_CALL / self.factor)

    @property
    def steps_a_call(self) -> int:
        """As many as are expected to fit: calls are counted as well as seconds."""
        return max(1, min(MOST_STEPS, int((self.most / MARGIN - STARTING_SECONDS) / self.seconds_a_step)))

    def duration(self, steps: int) -> int:
        """Whole seconds to ask for, for a call of so many steps."""
        return max(LEAST, min(self.most, math.ceil(MARGIN * (STARTING_SECONDS + steps * self.seconds_a_step))))

    def reason(self, job: Job, control: SearchControl, state: State | None = None) -> Iterator[Step]:
        def left(state: State | None, job: Job) -> int:
            if state is None:
                return job.settings.steps + 1
            return 0 if state.finished(job.settings) else job.settings.steps - state.index

        return self._calls(job, None, control, state, left)

    def best_of_n(self, job: Job, n: int, control: SearchControl, state: State | None = None) -> Iterator[Step]:
        def left(state: State | None, job: Job) -> int:
            if state is None:
                return n
            return 0 if state.score.value > job.settings.threshold else n - state.index - 1

        return self._calls(job, n, control, state, left)

    def _calls(
        self,
        job: Job,
        n: int | None,
        control: SearchControl,
        state: State | None,
        left: Callable[[State | None, Job], int],
    ) -> Iterator[Step]:
        try:
            while True:
                control.poll()
                now = replace(job, settings=control.in_force(job.settings))
                count = min(self.steps_a_call, left(state, now))
                if count <= 0:
                    return
                with closing(self._lent(now, n, state, count)) as steps:
                    for step in steps:
                        state = step.state
                        yield step
                        # A GPU that waits for somebody is paid for; and a moved slider acts with the next call.
                        if control.paused or control.stopped or control.in_force(job.settings) != now.settings:
                            break
        except Stopped:
            return

    def _lent(self, job: Job, n: int | None, state: State | None, count: int) -> Generator[Step, None, None]:
        """The steps of one call, `count` at most.

        Raises:
            What the search raises there. EngineError: the GPU was not lent, or taken away.
        """
        bare = state and replace(state, probabilities=None)  # as the search itself hands it on
        answers = self._call(pickle.dumps((job, n, bare, count)), self.duration(count))
        try:
            for answer in answers:
                made = pickle.loads(answer)
                if isinstance(made, Exception):
                    raise made
                self._took(made.cost.seconds)
                yield made.step
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
        job, n, state, count = pickle.loads(call)
        control = SearchControl()
        try:
            if n is None:
                steps = self.local.reason(job, control, state)
            else:
                steps = self.local.best_of_n(job, n, control, state)
            for _, step in zip(range(count), steps, strict=False):
                yield pickle.dumps(step.state)
        except (InputError, CriticError) as error:
            yield pickle.dumps(error)
