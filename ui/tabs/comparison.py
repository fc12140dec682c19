"""One prompt and seed through every method: what is compared, and the loop that makes it. Without gradio."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from milr_core import Cost, SearchControl, Step
from milr_core.settings import PRESETS
from milr_core.state import BEST_OF_N, SEARCH
from ui.engines.base import Engine
from ui.engines.base import run as steps_of
from ui.session import FINISHED, IDLE, RUNNING, STOPPED, Outline, Run

METHODS = {
    "step 0": "one draw: no search",
    "text": "MILR, text latents only",
    "image": "MILR, image latents only",
    "joint": "MILR, both in each step",
    "alt": "MILR, text and image in turn",
    "t2v": "MILR, text first, then image",
    "coordinate": "beside the paper: one text token at a time",
    "best-of-n": "independent images of the same text",
}


RACE = ("step 0", "best-of-n", "joint", "coordinate")
"""What a new visitor compares: one draw, drawing again, the paper's search, and this project's."""


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
    search does at most. It waits and computes like a run. message: why it broke off."""

    template: Run
    methods: list[str]
    rows: list[Row] = field(default_factory=list)
    phase: str = IDLE
    message: str = ""
    control: SearchControl = field(default_factory=SearchControl)

    @property
    def steps(self) -> list[Outline]:
        return [step for row in self.rows for step in row.run.steps]

    @property
    def left(self) -> int:
        """Steps to come at most."""
        return len(self.methods) * (self.template.planned.steps + 1) - len(self.steps)

    def opened(self, method: str) -> Row | None:
        """The row of a method, unless it is the one under way."""
        there = (row for row in self.rows if row.done or self.phase != RUNNING)
        return next((row for row in there if row.method == method), None)

    def steps_in_turn(self, engine: Engine, folder: Callable[[], Path]) -> Iterator[tuple[Row, Step]]:
        """The steps of all methods, one of each in turn, so that their rows can be watched side by side. folder: makes
        one for a row."""
        under_way = {}
        for method in self.methods:
            row = self.begin_row(method, folder())
            under_way[method] = (row, self.attempts(engine, row))
        while under_way:
            for method, (row, attempts) in list(under_way.items()):
                step = next(attempts, None)
                if self.control.stopped:
                    return
                if step is not None:
                    yield row, step
                    continue
                row.done = True
                del under_way[method]

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
            _at_hand=OrderedDict(),
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
