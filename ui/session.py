"""What belongs to one visit: runs, and which step of which is looked at. Knows nothing about gradio.

A visit outlives its connections. Its runs are on disk; in memory stays of each step what plot, strip and lists show.
"""

import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from milr_core import SearchControl
from ui.run import FINISHED, HELD, IDLE, PAUSED, REPLAYED, RUNNING, STOPPED, WAITING, Run
from ui.waiting_list import Turn

NO_OBSERVER = "none"
"""What stands in the field of a held-out critic where nobody watches."""

FAST, SECOND, STEPWISE = "as fast as it goes", "one step a second", "wait for me at every step"
PACES = (FAST, SECOND, STEPWISE)
"""At which steps come to whoever watches; a comparison and the endpoint know nothing of it."""


@dataclass
class Session:
    """One visit.

    key: the secret by which its browser comes back to it. shown: the run looked at; opening: the recorded run that is
    looked at before there is one. pace: one of PACES. active: what waits or computes, a
    run or a comparison; turn: its place in the line. ticket: number of the latest request to compute. single: compute
    one step only. wanted: "pause" or "stop" once the visitor asked for it. pinned: the step looked at; None follows
    the newest. against, against_step: what that step is compared with. notice: what went wrong last, in words; instead:
    prompts to try.
    keep: runs at most; beyond them the oldest goes. searches: started so far. touched: when anything was computed,
    last; heard: when a page of it was. asked: what the controls said when a run was begun last, by name.
    moves: of live sliders; unsettled: whether the last is not in force yet.
    link: the query of the address that it was opened with, once that was used. model: hash of the weights that the
    page's controls are set for, where it follows them. model_problem: why the model that it asked for was not
    loaded. models_version: of `Models`, as the page shows it.
    """

    key: str = ""
    runs: list[Run] = field(default_factory=list)
    shown: Run | None = None
    opening: Run | None = None
    pace: str = FAST
    active: Any = None
    turn: Turn | None = None
    comparison: Any = None
    ticket: int = 0
    single: bool = False
    wanted: str = ""
    pinned: int | None = None
    against: str = "first"
    against_step: int = 0
    notice: str = ""
    instead: tuple[str, ...] = ()
    folder: Path | None = None
    begun: int = 0
    rooms: int = 0
    keep: int = 12
    searches: int = 0
    touched: float = field(default_factory=time.monotonic)
    heard: float = field(default_factory=time.monotonic)
    asked: dict[str, Any] = field(default_factory=dict)
    link: str = ""
    moves: int = 0
    unsettled: bool = False
    model: str = ""
    model_problem: str = ""
    models_version: int = -1

    @property
    def phase(self) -> str:
        """Return the phase of the run looked at."""
        return self.shown.phase if self.shown else IDLE

    @property
    def busy(self) -> bool:
        return self.active is not None and self.active.phase in (WAITING, RUNNING)

    @property
    def search(self) -> Run | None:
        """The run that waits or computes, if it is one and no comparison."""
        return self.active if self.busy and isinstance(self.active, Run) else None

    @property
    def held(self) -> Run | None:
        """The run looked at, where it can be resumed and nothing else computes."""
        run = self.shown
        return run if run and run.phase in HELD and not self.busy else None

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
        self.shown, self.pinned, self.notice, self.instead = run, None, "", ()

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
        self.single, self.wanted, self.notice, self.instead = single, "", "", ()
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
        self.runs, self.shown, self.comparison, self.folder = [], self.opening, None, None
