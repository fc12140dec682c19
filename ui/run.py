"""A search as a visit keeps it: its steps are on disk, and in memory stays what plot, strip and lists show of each."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from milr_core import Cost, InputError, Score, SearchControl, SearchSettings, State, Step, Trajectory
from milr_core.control import Forming
from milr_core.diagnostics import Flag, flags
from milr_core.engine import Job, Options
from milr_core.record import MadeBy

IDLE, WAITING, RUNNING, PAUSED = "idle", "waiting", "running", "paused"
STOPPED, FAILED, FINISHED, REPLAYED = "stopped", "failed", "finished", "replayed"
"""Phases: no search yet, in the line, computing, held; ended by the visitor, by an error, by itself; loaded from a
bundle."""

HELD = (PAUSED, STOPPED, FAILED)
"""Phases from which a search can be resumed."""

AT_HAND = 4
"""Whole steps of a run that are kept in memory: those looked at last, for the others are on disk."""


@dataclass(frozen=True)
class Outline:
    """What of a step stays in memory. Names are those of `Step`; of what others observed only the value is kept.

    image: its file. flags: what there is to say about it.
    """

    index: int
    reward: float
    best: int
    settings: SearchSettings
    cost: Cost
    observed: dict[str, Score]
    method: str
    image: str = ""
    flags: tuple[Flag, ...] = ()

    @classmethod
    def of(cls, step: Step, image: str = "", found: tuple[Flag, ...] = ()) -> "Outline":
        seen = {name: Score(score.value, {}, "") for name, score in step.observed.items()}
        return cls(step.index, step.reward, step.best, step.settings, step.cost, seen, step.method, image, found)


@dataclass
class Run:
    """One search: what was asked, what came of it, and the hand on it.

    number: from 1, in the visit. origin: where it comes from, in words.
    critic, observers: names or mixtures. options: the visitor's own, for those that ask a service. changes: live
    settings moved since it began; they survive a pause. bundle: the steps on disk. forming: the picture of the step
    under way, where that takes long.
    """

    prompt: str
    settings: SearchSettings
    folder: Path
    model: MadeBy
    critic: str = ""
    observers: tuple[str, ...] = ()
    options: Options = field(default_factory=Options)
    origin: str = ""
    number: int = 0
    phase: str = IDLE
    control: SearchControl = field(default_factory=SearchControl)
    changes: dict[str, Any] = field(default_factory=dict, init=False)
    steps: list[Outline] = field(default_factory=list)
    bundle: Trajectory | None = None
    forming: Forming | None = field(default=None, init=False)
    _at_hand: OrderedDict[int, Step] = field(default_factory=OrderedDict, init=False, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)

    @property
    def planned(self) -> SearchSettings:
        """Settings that the next step is made with."""
        return replace(self.settings, **self.changes)

    @property
    def job(self) -> Job:
        """What is to be computed next."""
        return Job(self.prompt, self.planned, self.critic, self.observers, self.options)

    @property
    def complete(self) -> bool:
        """Whether the search has come to its own end; a run without steps has not."""
        if not self.steps:
            return False
        last = self.steps[-1]
        return last.index >= self.planned.steps or last.reward > self.planned.threshold

    @property
    def newest(self) -> int:
        """Index of the newest step; -1 before the first."""
        return len(self.steps) - 1

    @property
    def best(self) -> int:
        """Index of the best step; -1 before the first."""
        return self.steps[-1].best if self.steps else -1

    @property
    def left(self) -> int:
        """Steps to come at most."""
        return self.planned.steps - self.newest

    @property
    def seen(self) -> tuple[Any, ...]:
        """What a page that watches looks for changes of; the phase first."""
        return self.phase, len(self.steps), self.forming

    @property
    def title(self) -> str:
        return f"run {self.number}"

    @property
    def trajectory(self) -> Trajectory:
        """Its steps on disk. Raises InputError before the first."""
        if self.bundle is None:
            raise InputError(f"{self.title.capitalize()} has no step yet.")
        return self.bundle

    def state(self, index: int) -> State:
        """What step `index` goes on from, read from disk.

        Raises:
            InputError: a recorded run whose states were left out, or files that are damaged.
        """
        if not self.trajectory.has_state(index):
            raise InputError("This run was recorded without its latents, so it can be looked at but not continued.")
        return self.trajectory.state(index)

    def step(self, index: int) -> Step:
        """A whole step, without the state behind it. Raises InputError where its files are damaged."""
        with self._lock:  # steps are added by one thread and looked at by others
            if index not in self._at_hand:
                self._keep(self.trajectory.step(index))
            self._at_hand.move_to_end(index)
            return self._at_hand[index]

    def _keep(self, step: Step) -> None:
        with self._lock:
            self._at_hand[step.index] = step
            while len(self._at_hand) > AT_HAND:
                self._at_hand.popitem(last=False)

    def add(self, step: Step) -> None:
        """The next step, written to disk."""
        if self.bundle is None:
            asked = self.critic, self.prompt, self.settings, self.observers
            self.bundle = Trajectory.create(self.folder, self.model, *asked, method=step.method)
        self.see(step, self.bundle.append(step.state))

    def see(self, step: Step, image: Path) -> None:
        """The next step, which is on disk."""
        self.forming = None
        step = replace(step, state=None)
        before = [self.step(i) for i in dict.fromkeys((0, step.index - 1))] if step.index else []
        found = tuple(flags([*before, step], len(before)))
        if self.steps and step.settings == self.steps[-1].settings:  # the same object: a run holds one or two of them
            step = replace(step, settings=self.steps[-1].settings)
        self._keep(step)
        self.steps.append(Outline.of(step, str(image), found))

    def form(self, picture: Forming | None) -> None:
        """There is something to see of the step under way; None: it was dropped."""
        self.forming = picture

    def change(self, **values: Any) -> None:
        """Move live settings, in force from the next step.

        Raises:
            InputError: a value outside its range; nothing is changed then.
        """
        self.control.change(**values)
        self.changes |= values

    def fork(self, index: int, folder: Path, **new: Any) -> "Run":
        """A run of its own with the steps up to `index`. new: fields in which it differs.

        Raises:
            InputError: the states of these steps are not there.
        """
        made = replace(self, control=SearchControl(), steps=[], bundle=None, folder=folder, **new)
        for at in range(index + 1):
            made.add(self.state(at).step)
        return made
