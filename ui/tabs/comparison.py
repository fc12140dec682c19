"""One prompt and seed through every method: what is compared, and the loop that makes it. Without gradio."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from milr_core import Cost, InputError, SearchControl, Step
from milr_core.engine import Job
from milr_core.engine import run as steps_of
from milr_core.settings import PRESETS, check
from milr_core.state import BEST_OF_N, SEARCH
from ui.engines.base import Engine
from ui.run import FINISHED, IDLE, PAUSED, RUNNING, STOPPED, Outline, Run

YOU = "you"

METHODS = {
    "step 0": "one draw: no search",
    "text": "MILR, text latents only",
    "image": "MILR, image latents only",
    "joint": "MILR, both in each step",
    "alt": "MILR, text and image in turn",
    "t2v": "MILR, text first, then image",
    "coordinate": "beside the paper: one text token at a time",
    "mixture": "beside the paper: one text token at a time, texts anew where that is in vain",
    "best-of-n": "independent images of the same text",
    YOU: "you say what each step moves",
}


RACE = ("step 0", "best-of-n", "joint", "mixture", YOU)
"""What a new visitor compares: one draw, drawing again, the paper's search, this project's, and the visitor's own."""

MOVES = {"text": "words", "image": "cells", "joint": "both", "word": "one word"}
"""What a visitor's step can move: latents of one kind or of both, or the one word that is pointed at."""


@dataclass(frozen=True)
class Move:
    """What a visitor's next step moves. lr: of the latents. word: position in the plan; becomes: what it is to be.

    Raises:
        InputError: there is no such move.
    """

    what: str
    lr: float
    word: int = 0
    becomes: str = ""

    def __post_init__(self) -> None:
        texts = isinstance(self.what, str) and isinstance(self.becomes, str) and len(self.becomes) <= 100
        if not texts or self.what not in MOVES or type(self.word) is not int:
            raise InputError(f"A step moves {', '.join(MOVES.values())}, and a word is named by its place in the plan.")
        check("lr", self.lr)

    def of(self, job: Job) -> Job:
        if self.what == "word":
            return replace(job, by_hand=(self.word, self.becomes))
        return replace(job, settings=replace(job.settings, strategy=self.what, lr=self.lr))


@dataclass
class Row:
    """One method's run. done: it has come to its end; a row that is neither done nor computed is unfinished.

    opened: what of it is looked at in the Inspector, and may be gone on with there; the row stays what it was.
    """

    method: str
    run: Run
    done: bool = False
    opened: Run | None = None

    @property
    def phase(self) -> str:
        """Return the phase of its run in the Inspector: a search that was broken off can be resumed there."""
        return FINISHED if self.done or self.method == "best-of-n" else STOPPED

    @property
    def cost(self) -> Cost:
        return sum((step.cost for step in self.run.steps), Cost())


@dataclass
class Comparison:
    """All rows have the same prompt, critic and settings but for the strategy; Best-of-N draws as many images as a
    search does at most. It waits and computes like a run; once only the visitor's lane is left, it is paused until that
    moves. message: why it broke off, or why a move was none. move: what the visitor has chosen, until it is made.
    """

    template: Run
    methods: list[str]
    rows: list[Row] = field(default_factory=list)
    phase: str = IDLE
    message: str = ""
    control: SearchControl = field(default_factory=SearchControl)
    move: Move | None = None
    lock: Any = field(default_factory=threading.Lock, repr=False)

    @property
    def yours(self) -> Row | None:
        """The visitor's own row."""
        return next((row for row in self.rows if row.method == YOU), None)

    @property
    def awaited(self) -> bool:
        """Whether it is the visitor's move."""
        row = self.yours
        if row is None or row.done or not row.run.steps or row.run.complete or self.move:
            return False
        return self.phase == RUNNING or (self.phase == PAUSED and self._others_done)

    @property
    def _others_done(self) -> bool:
        return all(row.done for row in self.rows if row.method != YOU)

    def choose(self, move: Move) -> bool:
        """Take the visitor's move; whether a turn has to be asked for, to make it."""
        with self.lock:
            self.move, self.message = move, ""
            return self.phase == PAUSED

    @property
    def steps(self) -> list[Outline]:
        return [step for row in self.rows for step in row.run.steps]

    @property
    def left(self) -> int:
        """Steps to come at most."""
        return len(self.methods) * (self.template.planned.steps + 1) - len(self.steps)

    @property
    def seen(self) -> tuple[Any, ...]:
        """What a page that watches looks for changes of; the phase first."""
        return self.phase, len(self.rows), len(self.steps), self.awaited, self.message

    def opened(self, method: str) -> Row | None:
        """The row of a method, unless it is the one under way."""
        there = (row for row in self.rows if row.done or self.phase != RUNNING)
        return next((row for row in there if row.method == method), None)

    def steps_in_turn(self, engine: Engine, folder: Callable[[], Path]) -> Iterator[tuple[Row, Step]]:
        """The steps of all methods, one of each in turn, so that their rows can be watched side by side. folder: makes
        one for a row."""
        for method in self.methods if not self.rows else []:
            self.begin_row(method, folder())
        attempts = {row.method: self.attempts(engine, row) for row in self.rows if row.method != YOU}
        while not all(row.done for row in self.rows):
            with self.lock:
                if self._others_done and not self._movable:
                    self.phase = PAUSED
                    return
            for row in self.rows:
                if row.done or (row.method == YOU and not self._movable):
                    continue
                step = next(self.yours_made(engine, row) if row.method == YOU else attempts[row.method], None)
                if self.control.stopped:
                    return
                if step is not None:
                    yield row, step
                if row.method == YOU:
                    self.move = None
                row.done = row.run.complete if row.method == YOU else step is None

    @property
    def _movable(self) -> bool:
        """Whether there is something to make in the visitor's lane: step 0, or the step that was chosen."""
        row = self.yours
        return row is not None and not row.done and (not row.run.steps or self.move is not None)

    def yours_made(self, engine: Engine, row: Row) -> Iterator[Step]:
        """Step 0, or the step that the visitor has chosen; what cannot be done is said, and chosen anew."""
        if self.move is None:
            yield from self.attempts(engine, row)
            return
        try:
            yield from steps_of(engine, self.move.of(row.run.job), self.control, row.run.state(row.run.newest))
        except InputError as error:
            self.message = str(error)

    def begin_row(self, method: str, folder: Path) -> Row:
        """A row without steps."""
        settings = self.template.settings
        if method in ("text", "image", "joint", "alt", "t2v"):
            settings = replace(settings, strategy=method)
        if method in PRESETS:
            settings = replace(settings, **PRESETS[method])
        if method == "step 0":
            settings = replace(settings, steps=0)
        run = replace(
            self.template,
            settings=settings,
            folder=folder,
            origin="compared" if method in (settings.strategy, "step 0", "best-of-n") else f"compared: {method}",
            control=self.control,
            steps=[],
        )
        self.rows.append(Row(method, run))
        return self.rows[-1]

    def attempts(self, engine: Engine, row: Row) -> Iterator[Step]:
        """The steps of one method. All go on from the step 0 that another row has made: it is the same."""
        run, first = row.run, next((r.run for r in self.rows if r.run.steps), None)
        state = None
        if first is not None:
            state = replace(first.state(0), settings=run.settings)  # under any of them step 0 is the same
            yield state.step
            if state.finished(run.settings):
                return
        method = BEST_OF_N if row.method == "best-of-n" else SEARCH
        yield from steps_of(engine, replace(run.job, method=method), self.control, state)
