"""What belongs to one visit: runs, and which step of which is looked at. Knows nothing about gradio.

A visit outlives its connections. Its runs are on disk; in memory stays of each step what plot, gallery and lists show.
"""

import shutil
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from milr_core import Cost, InputError, Score, SearchControl, SearchSettings, State, Step, Trajectory
from milr_core.diagnostics import Flag, flags
from milr_core.record import MadeBy
from ui.engines.base import Job, Options
from ui.waiting_list import Turn

IDLE, WAITING, RUNNING, PAUSED = "idle", "waiting", "running", "paused"
STOPPED, FAILED, FINISHED, REPLAYED = "stopped", "failed", "finished", "replayed"
"""Phases: no search yet, in the line, computing, held; ended by the visitor, by an error, by itself; loaded from a
bundle."""

HELD = (PAUSED, STOPPED, FAILED)
"""Phases from which a search can be resumed."""

NO_OBSERVER = "none"
"""What stands in the field of a held-out critic where nobody watches."""

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

    number: from 1, in the visit. origin: where it comes from, in words. model: `id` and `weights_hash`.
    critic, observers: names or mixtures. options: the visitor's own, for those that ask a service. changes: live
    settings moved since it began; they survive a pause. bundle: the steps on disk.
    """

    prompt: str
    settings: SearchSettings
    folder: Path
    model: dict[str, str]
    critic: str = ""
    observers: tuple[str, ...] = ()
    options: Options = field(default_factory=Options)
    origin: str = ""
    number: int = 0
    phase: str = IDLE
    control: SearchControl = field(default_factory=SearchControl)
    changes: dict[str, Any] = field(default_factory=dict)
    steps: list[Outline] = field(default_factory=list)
    bundle: Trajectory | None = None
    _at_hand: OrderedDict[int, Step] = field(default_factory=OrderedDict, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

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
    def title(self) -> str:
        return f"run {self.number}"

    def state(self, index: int) -> State:
        """What step `index` goes on from, read from disk.

        Raises:
            InputError: a recorded run whose states were left out, or files that are damaged.
        """
        if not self.bundle.has_state(index):
            raise InputError("This run was recorded without its latents, so it can be looked at but not continued.")
        return self.bundle.state(index)

    def step(self, index: int) -> Step:
        """A whole step, without the state behind it. Raises InputError where its files are damaged."""
        with self._lock:  # steps are added by one thread and looked at by others
            if index not in self._at_hand:
                self._keep(self.bundle.step(index))
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
            made_by, method = MadeBy(**self.model), step.method
            asked = self.critic, self.prompt, self.settings, self.observers
            self.bundle = Trajectory.create(self.folder, made_by, *asked, method=method)
        self.see(step, self.bundle.append(step.state))

    def see(self, step: Step, image: Path) -> None:
        """The next step, which is on disk."""
        step = replace(step, state=None)
        before = [self.step(i) for i in dict.fromkeys((0, step.index - 1))] if step.index else []
        found = tuple(flags([*before, step], len(before)))
        if self.steps and step.settings == self.steps[-1].settings:  # the same object: a run holds one or two of them
            step = replace(step, settings=self.steps[-1].settings)
        self._keep(step)
        self.steps.append(Outline.of(step, str(image), found))

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
        fresh = {"control": SearchControl(), "changes": {}, "steps": [], "bundle": None, "_at_hand": OrderedDict()}
        made = replace(self, **fresh, folder=folder, **new)
        for at in range(index + 1):
            made.add(self.state(at).step)
        return made


@dataclass
class Session:
    """One visit.

    key: the secret by which its browser comes back to it. shown: the run looked at. active: what waits or computes, a
    run or a comparison; turn: its place in the line. ticket: number of the latest request to compute. single: compute
    one step only. wanted: "pause" or "stop" once the visitor asked for it. pinned: the step looked at; None follows
    the newest. against, against_step: what that step is compared with. notice: what went wrong last, in words.
    keep: runs at most; beyond them the oldest goes. searches: started so far. touched: when anything was computed,
    last; heard: when a page of it was. asked: what the controls said when a run was begun last, by name.
    link: the query of the address that it was opened with, once that was used. model: hash of the weights that the
    page's controls are set for, where it follows them. model_problem: why the model that it asked for was not
    loaded. models_version: of `Models`, as the page shows it.
    """

    key: str = ""
    runs: list[Run] = field(default_factory=list)
    shown: Run | None = None
    active: Any = None
    turn: Turn | None = None
    comparison: Any = None
    ticket: int = 0
    single: bool = False
    wanted: str = ""
    pinned: int | None = None
    against: str = "previous"
    against_step: int = 0
    notice: str = ""
    folder: Path | None = None
    begun: int = 0
    rooms: int = 0
    keep: int = 12
    searches: int = 0
    touched: float = field(default_factory=time.monotonic)
    heard: float = field(default_factory=time.monotonic)
    asked: dict[str, Any] = field(default_factory=dict)
    link: str = ""
    model: str = ""
    model_problem: str = ""
    models_version: int = -1

    @property
    def phase(self) -> str:
        """Of the run looked at."""
        return self.shown.phase if self.shown else IDLE

    @property
    def busy(self) -> bool:
        return self.active is not None and self.active.phase in (WAITING, RUNNING)

    @property
    def search(self) -> Run | None:
        """The run that waits or computes, if it is one and no comparison."""
        return self.active if self.busy and isinstance(self.active, Run) else None

    @property
    def looked_at(self) -> int:
        """Index of the step shown; -1 before the first."""
        newest = self.shown.newest if self.shown else -1
        return newest if self.pinned is None else min(self.pinned, newest)

    def room(self, folder: Path) -> Path:
        """A folder of its own for something new, in the visit's."""
        self.folder, self.rooms = self.folder or folder, self.rooms + 1
        return self.folder / str(self.rooms)

    def begin(self, run: Run) -> None:
        """Put a new run beside the others and look at it. The oldest goes, from the disk too, where there are too
        many."""
        self.begun += 1
        run.number = self.begun
        self.runs.append(run)
        for old in self.runs[: -self.keep]:
            shutil.rmtree(old.folder, ignore_errors=True)
        del self.runs[: -self.keep]
        self.shown, self.pinned, self.notice = run, None, ""

    def show(self, number: int) -> None:
        """Look at another run, where there is one of that number; at its best step, unless more are being made."""
        for run in self.runs:
            if run.number == number and run is not self.shown:
                self.shown, self.pinned = run, None
                self.rest()

    def rest(self) -> None:
        """Look at the best step of a run that has come to its end."""
        if self.pinned is None and self.shown and self.shown.phase in (FINISHED, REPLAYED):
            self.look_at(self.shown.best)

    def ask(self, what: Any, single: bool = False) -> int:
        """A new ticket: `what` goes on once its turn comes."""
        self.ticket += 1
        self.active, what.phase = what, WAITING
        self.single, self.wanted, self.notice = single, "", ""
        what.control = SearchControl()
        return self.ticket

    def hold(self, wanted: str) -> None:
        """Ask what computes to pause or stop, after the token it is at."""
        self.wanted = wanted
        self.active.control.stop()

    def look_at(self, index: int) -> None:
        """Show a step; showing the newest one means following the search again."""
        newest = self.shown.newest if self.shown else -1
        self.pinned = None if index >= newest else max(0, index)

    def revoke(self) -> None:
        """Whatever computes or waits for this visit is void."""
        self.ticket += 1
        if self.active is not None:
            self.active.control.stop()
            self.active.phase = PAUSED if self.active.steps else STOPPED
            self.active = None

    def close(self) -> None:
        """The visit is over: end the search, free what was held."""
        self.revoke()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.runs, self.shown, self.comparison, self.folder = [], None, None, None
