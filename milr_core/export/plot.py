"""The score by step as SVG.

Places are in percent of the width and in pixels of the height, so that the curve takes any width while its words and
marks keep their size. Colours and lines are the style sheet's.
"""

from collections.abc import Sequence
from itertools import accumulate

from milr_core import Step
from milr_core.export.words import safe

HEIGHT, TOP, BOTTOM = 230, 14, 30
LEFT, RIGHT = 9.0, 97.5
"""Of the curve within the picture: pixels above and below it; percent at which it begins and ends."""

TICKS = 8


def _y(score: float) -> float:
    return round(HEIGHT - BOTTOM - score * (HEIGHT - TOP - BOTTOM), 1)


class Plot:
    """Draws the curve of all steps; a mark at those that are shown."""

    def __init__(self, steps: Sequence[Step], shown: Sequence[int], changed_at: Sequence[int]):
        """changed_at: steps from which on settings were others, or steps were made in another way."""
        self.steps, self.shown, self.changed_at = steps, shown, changed_at
        self.last = max(len(steps) - 1, 1)

    def _x(self, index: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * index / self.last, 2)

    def _segments(self, kind: str, values: Sequence[tuple[int, float]], stairs: bool = False) -> str:
        lines = []
        for (i, a), (j, b) in zip(values, values[1:], strict=False):
            if stairs:
                lines.append((i, a, j, a))
                lines += [(j, a, j, b)] if a != b else []
            else:
                lines.append((i, a, j, b))
        drawn = "".join(
            f'<line x1="{self._x(i)}%" y1="{_y(a)}" x2="{self._x(j)}%" y2="{_y(b)}"/>' for i, a, j, b in lines
        )
        return f'<g class="{kind}">{drawn}</g>'

    def _axes(self) -> str:
        levels = "".join(
            f'<line x1="{LEFT}%" x2="{RIGHT}%" y1="{_y(at)}" y2="{_y(at)}"/>'
            f'<text x="{LEFT - 1}%" y="{_y(at) + 4}" text-anchor="end">{at:g}</text>'
            for at in (0, 0.5, 1)
        )
        every = next(d for e in range(5) for d in (10**e, 2 * 10**e, 5 * 10**e) if self.last / d <= TICKS)
        ticks = "".join(
            f'<text x="{self._x(i)}%" y="{HEIGHT - 10}" text-anchor="middle">{i}</text>'
            for i in range(0, len(self.steps), every)
        )
        return f'<g class="axes">{levels}{ticks}</g>'

    def _watched(self) -> str:
        """Critics that only watched."""
        drawn = ""
        for name in dict.fromkeys(name for step in self.steps for name in step.observed):
            seen = [(s.index, s.observed[name].value) for s in self.steps if name in s.observed]
            drawn += self._segments("watched", seen)
        return drawn

    def _points(self) -> str:
        best = self.steps[-1].best
        return "".join(
            f'<circle class="point{" best" if i == best else ""}" data-step="{i}" cx="{self._x(i)}%" '
            f'cy="{_y(self.steps[i].reward)}" r="{6 if i == best else 4}"/>'
            for i in self.shown
        )

    def svg(self) -> str:
        values = [(s.index, s.reward) for s in self.steps]
        moved = "".join(
            f'<line class="changed" x1="{self._x(i)}%" x2="{self._x(i)}%" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
            for i in self.changed_at
        )
        wanted = self._segments("wanted", [(s.index, s.settings.threshold) for s in self.steps])
        best_so_far = list(enumerate(accumulate((s.reward for s in self.steps), max)))
        return (
            f'<svg class="plot" width="100%" height="{HEIGHT}" role="img" aria-label="{safe(self.in_words())}">'
            f"{self._axes()}{moved}{wanted}{self._segments('so-far', best_so_far, stairs=True)}{self._watched()}"
            f"{self._segments('score-line', values)}{self._points()}"
            f'<circle class="now" r="9" cx="0" cy="0" visibility="hidden"/></svg>'
        )

    def in_words(self) -> str:
        some = ", ".join(f"step {i}: {self.steps[i].reward:.2f}" for i in self.shown)
        return f"Score by step. {some}. Best: step {self.steps[-1].best}."
