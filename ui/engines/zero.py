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
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol
from weakref import WeakKeyDictionary

import gradio as gr
import torch

from milr_core import CriticError, InputError, SearchControl, State
from milr_core.engine import Job, run
from milr_core.local_engine import strategy_of
from ui.engines.base import EngineError
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


@dataclass
class Call:
    """A call that is under way: what for, the states still to come, and the newest that it gave."""

    job: Job
    made: Generator[State, None, None]
    after: State | None


@dataclass
class Quota:
    """What calls are planned by. factor: seconds of quota for a second asked of this machine's card."""

    factor: float
    seconds_a_step: float = UNKNOWN

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
        """Count the steps that are expected to fit: calls are counted as well as seconds."""
        return max(1, min(MOST_STEPS, int((self.most / MARGIN - STARTING_SECONDS) / self.seconds_a_step)))

    def duration(self, steps: int) -> int:
        """Whole seconds to ask for, for a call of so many steps."""
        return max(LEAST, min(self.most, math.ceil(MARGIN * (STARTING_SECONDS + steps * self.seconds_a_step))))

    def took(self, seconds: float, weight: float = RECENT) -> None:
        """A step's seconds were measured; the first ones count alone."""
        weight = 1.0 if self.seconds_a_step == UNKNOWN else weight
        self.seconds_a_step += weight * (seconds - self.seconds_a_step)


class ZeroEngine:
    """Searches of as many steps a call as fit. The work is a `LocalEngine`'s, in the other process.

    lend: `spaces.GPU`, or what does as it does. factor: as of `Quota`. whole_card: at twice the quota.
    """

    def __init__(self, local: LocalEngine, lend: Lend, factor: float = 1.0, whole_card: bool = False):
        self.local, self.facts, self.at_once = local, local.facts, local.at_once
        self.check = local.check
        self.quota = Quota(2.0 if whole_card else factor)
        self._process = os.getpid()
        self._under_way: WeakKeyDictionary[SearchControl, Call] = WeakKeyDictionary()
        self._call = lend(duration=seconds_of, size="xlarge" if whole_card else None)(self._work)

    def cost(self, steps: int) -> str:
        calls = self.quota.calls(steps + 1)
        count = len(calls.steps)
        took = (steps + 1) * self.quota.seconds_a_step + count * STARTING_SECONDS
        return (
            f"About {self.quota.factor * took:.0f} s of GPU quota in {count} call{'s' * (count > 1)}; a call asks for "
            f"up to {max(calls.asked)} s, which must be left. {QUOTA}"
        )

    def step(self, job: Job, state: State | None, control: SearchControl) -> State | None:
        """Make a step as `Engine` does: the next state of the call that is under way, or the first of a new one."""
        now, under_way = job.under(control), self._under_way.get(control)
        # A GPU that waits for somebody is paid for; and a moved slider acts with the next call.
        if under_way and (control.paused or control.stopped or under_way.after is not state or under_way.job != now):
            self.leave(control)
        control.poll()
        if under_way := self._under_way.get(control):
            under_way.after = next(under_way.made, None)
            if under_way.after:
                return under_way.after
        self.leave(control)
        now = job.under(control)
        if state is not None and strategy_of(now).finished(state, now.settings):
            return None
        left = now.settings.steps - (-1 if state is None else state.index)
        made = self._lent(now, state, max(1, min(self.quota.steps_a_call, left)))
        following = next(made)
        self._under_way[control] = Call(now, made, following)
        return following

    def leave(self, control: SearchControl) -> None:
        """Give the GPU back, where a call is under way."""
        if call := self._under_way.pop(control, None):
            call.made.close()

    def _lent(self, job: Job, state: State | None, count: int) -> Generator[State, None, None]:
        """The states of one call, `count` at most.

        Raises:
            What the search raises there. EngineError: the GPU was not lent, or taken away.
        """
        bare = state and replace(state, probabilities=None)  # as the search itself hands it on
        answers = self._call(pickle.dumps((job, bare, count)), self.quota.duration(count))
        try:
            for answer in answers:
                made = pickle.loads(answer)
                if isinstance(made, Exception):
                    raise made
                self.quota.took(made.step.cost.seconds)
                yield made
        except gr.Error as error:  # what `spaces` raises: no quota, no GPU, or a call that was ended
            said = str(error.message).strip().rstrip(".")
            if "abort" in said:  # it took longer than was asked for: ask for more the next time
                self.quota.took(2 * self.quota.seconds_a_step, 1.0)
            raise EngineError(f"{error.title}: {said}. The steps so far stay; resume to go on.") from error
        finally:
            answers.close()

    def _work(self, call: bytes, seconds: int) -> Iterator[bytes]:
        """Work in the other process: up to `count` states, or the search's own exception last."""
        if os.getpid() != self._process:
            torch.set_num_threads(1)  # a forked process has no others
            self.local.judges.forked()
        job, state, count = pickle.loads(call)
        try:
            for _, step in zip(range(count), run(self.local, job, SearchControl(), state), strict=False):
                yield pickle.dumps(step.state)
        except (InputError, CriticError) as error:
            yield pickle.dumps(error)
