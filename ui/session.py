"""What belongs to one visitor: runs, and which step of which is looked at. Knows nothing about gradio."""

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from milr_core import InputError, SearchControl, SearchSettings, State, Step, Trajectory
from milr_core.diagnostics import Flag, flags
from milr_core.trajectory import stamp
from ui.engines.base import Job, Options

IDLE, WAITING, RUNNING, PAUSED, STOPPED, FINISHED = "idle", "waiting", "running", "paused", "stopped", "finished"
"""Phases: no search yet, in the line, computing, held, ended by the visitor or an error, ended itself."""

NO_OBSERVER = "none"
"""What stands in the field of a held-out critic where nobody watches."""

REPLAYED = "replayed"
"""Phase of a run that was loaded from a bundle."""

FAST = 1
"""Of zlib's levels: a third of the time of the usual one, for a fifth more bytes."""


@dataclass
class Run:
    """One search: what was asked, what came of it, and the hand on it.

    number: from 1, in the session. origin: where it comes from, in words. model: `id` and `weights_hash`.
    critic, observers: names or mixtures. options: the visitor's own, for those that ask a service. changes: live
    settings moved since it began; they survive a pause.
    paths, flags: each step's image, and what there is to say about it. bundle: where the states of steps without one
    can be read, if anywhere.
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
    steps: list[Step] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    flags: list[list[Flag]] = field(default_factory=list)
    bundle: Trajectory | None = None

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
    def left(self) -> int:
        """Steps to come at most."""
        return self.planned.steps - self.newest

    @property
    def title(self) -> str:
        return f"run {self.number}"

    def state(self, index: int) -> State:
        """What step `index` goes on from.

        Raises:
            InputError: a recorded run whose states were left out.
        """
        state = self.steps[index].state
        if state is not None:
            return state
        if not (self.bundle.folder / self.bundle.records[index]["state"]).is_file():
            raise InputError("This run was recorded without its latents, so it can be looked at but not continued.")
        return self.bundle.state(index)

    def add(self, step: Step) -> None:
        """The next step; its image is written once, with its settings inside."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"step-{step.index:04d}.png"
        step.image.save(path, pnginfo=stamp(self.prompt, self.model, step.settings.as_dict()), compress_level=FAST)
        self.steps.append(step)
        self.paths.append(str(path))
        self.flags.append(flags(self.steps, step.index))

    def change(self, **values: Any) -> None:
        """Move live settings, in force from the next step.

        Raises:
            InputError: a value outside its range; nothing is changed then.
        """
        self.control.change(**values)
        self.changes |= values

    def copy(self, phase: str) -> "Run":
        """The same steps, as a run that can be gone on with without this one."""
        lists = {"steps": list(self.steps), "paths": list(self.paths), "flags": list(self.flags)}
        return replace(self, phase=phase, control=SearchControl(), changes={}, **lists)

    def fork(self, index: int, settings: SearchSettings, folder: Path) -> "Run":
        """A new run with the steps up to `index`, to go on under other settings."""
        return replace(
            self,
            settings=settings,
            folder=folder,
            origin=f"from step {index} of {self.title}",
            phase=IDLE,
            control=SearchControl(),
            changes={},
            steps=self.steps[: index + 1],
            paths=self.paths[: index + 1],
            flags=self.flags[: index + 1],
        )


@dataclass
class Session:
    """One visitor's page.

    shown: the run looked at. active: what waits or computes, a run or a comparison. ticket: number of the latest
    request to compute; an older one that reaches the front of the line is void. single: compute one step only.
    wanted: "pause" or "stop" once the visitor asked for it. pinned: the step looked at; None follows the newest.
    against, against_step: what that step is compared with. notice: what went wrong last, in words. keep: runs at most;
    beyond them the oldest goes. searches: started so far. touched: when, last. model: hash of the weights that the
    page's controls are set for, where it follows them. models_version: of `Models`, as the page shows it.
    """

    runs: list[Run] = field(default_factory=list)
    shown: Run | None = None
    active: Any = None
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
    touched: float = 0.0
    model: str = ""
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
        """A folder of its own for something new, in the session's."""
        self.folder, self.rooms = self.folder or folder, self.rooms + 1
        return self.folder / str(self.rooms)

    def begin(self, run: Run) -> None:
        """Put a new run beside the others and look at it. The oldest goes where there are too many."""
        self.begun += 1
        run.number = self.begun
        self.runs.append(run)
        del self.runs[: -self.keep]
        self.shown, self.pinned, self.notice = run, None, ""

    def show(self, number: int) -> None:
        """Look at another run, where there is one of that number."""
        for run in self.runs:
            if run.number == number and run is not self.shown:
                self.shown, self.pinned = run, None

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
        """Whatever computes or waits for this session is void."""
        self.ticket += 1
        if self.active is not None:
            self.active.control.stop()
            self.active.phase = PAUSED if self.active.steps else STOPPED
            self.active = None

    def close(self) -> None:
        """The visitor left: end the search, free what was held."""
        self.revoke()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.runs, self.shown, self.comparison = [], None, None
