"""What belongs to one visitor, and who computes before whom. Knows nothing about gradio."""

import math
import shutil
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image

from milr_core import Critic, SearchControl, SearchSettings, State, Step

SHOWN_AT_LEAST = 512
"""Pixels on the shorter side of the images as the page shows them."""

IDLE, WAITING, RUNNING, PAUSED, STOPPED, FINISHED = "idle", "waiting", "running", "paused", "stopped", "finished"
"""Phases of a session: no search yet, in the line, computing, held, ended by the visitor or an error, ended itself."""


def shown(image: Image.Image) -> Image.Image:
    """The image at the page's size: a whole multiple of its own, so that every pixel grows alike."""
    factor = max(1, math.ceil(SHOWN_AT_LEAST / min(image.size)))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.LANCZOS)


@dataclass
class Run:
    """One search: what was asked, what came of it, and the hand on it.

    changes: live settings moved since it began; they survive a pause. paths: each step's image as the page shows it.
    """

    prompt: str
    settings: SearchSettings
    critic: Critic
    folder: Path
    control: SearchControl = field(default_factory=SearchControl)
    changes: dict[str, Any] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @property
    def planned(self) -> SearchSettings:
        """Settings that the next step is made with."""
        return replace(self.settings, **self.changes)

    @property
    def state(self) -> State | None:
        return self.steps[-1].state if self.steps else None

    @property
    def complete(self) -> bool:
        return self.state is not None and self.state.finished(self.planned)

    def add(self, step: Step) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"step-{step.index:04d}.png"
        shown(step.image).save(path)
        self.steps.append(step)
        self.paths.append(str(path))

    def change(self, **values: Any) -> None:
        """Move live settings, in force from the next step.

        Raises:
            InputError: a value outside its range; nothing is changed then.
        """
        self.control.change(**values)
        self.changes |= values


@dataclass
class Session:
    """One visitor's page.

    ticket: number of the latest request to compute; an older one that reaches the front of the line is void.
    single: compute one step only. wanted: "pause" or "stop" once the visitor asked a running search for it.
    pinned: the step looked at; None follows the newest. notice: what went wrong last, in words for the visitor.
    """

    run: Run | None = None
    phase: str = IDLE
    ticket: int = 0
    single: bool = False
    wanted: str = ""
    pinned: int | None = None
    notice: str = ""

    @property
    def newest(self) -> int:
        """Index of the newest step; -1 before the first."""
        return len(self.run.steps) - 1 if self.run else -1

    @property
    def looked_at(self) -> int:
        return self.newest if self.pinned is None else min(self.pinned, self.newest)

    def begin(self, run: Run) -> None:
        """Put a new search in the place of the old one, whose images are no longer needed."""
        self.discard()
        self.run, self.pinned, self.notice = run, None, ""

    def ask(self, single: bool) -> int:
        """A new ticket: the search goes on once its turn comes."""
        self.ticket += 1
        self.phase, self.single, self.wanted, self.notice = WAITING, single, "", ""
        self.run.control = SearchControl()
        return self.ticket

    def hold(self, wanted: str) -> None:
        """Ask the running search to pause or stop, after the token it is at."""
        self.wanted = wanted
        self.run.control.stop()

    def look_at(self, index: int) -> None:
        """Show a step; showing the newest one means following the search again."""
        self.pinned = None if index >= self.newest else max(0, index)

    def revoke(self) -> None:
        """Whatever computes or waits for this session is void."""
        self.ticket += 1
        if self.run:
            self.run.control.stop()
            self.phase = PAUSED if self.run.steps else STOPPED

    def discard(self) -> None:
        if self.run:
            shutil.rmtree(self.run.folder, ignore_errors=True)

    def close(self) -> None:
        """The visitor left: end the search, free what it held."""
        self.revoke()
        self.discard()
        self.run, self.phase = None, IDLE


class Line:
    """Who computes or waits to, in order. All that anyone learns of the others is how many are ahead."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[int] = []

    def join(self, session: Session) -> None:
        with self._lock:
            if id(session) not in self._waiting:
                self._waiting.append(id(session))

    def leave(self, session: Session) -> None:
        with self._lock:
            if id(session) in self._waiting:
                self._waiting.remove(id(session))

    def ahead(self, session: Session) -> int:
        """How many are before this session."""
        with self._lock:
            return self._waiting.index(id(session)) if id(session) in self._waiting else 0
