"""The reward plot as a plotly figure in plain data: score by step, best so far, threshold, the step looked at.

Colours are names of the theme's CSS variables; `plot.js` reads their values, so the plot follows light and dark.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from milr_core import SearchSettings, Step

ACCENT, QUIET, TEXT, GRID = (
    "var(--color-accent)",
    "var(--body-text-color-subdued)",
    "var(--body-text-color)",
    "var(--border-color-primary)",
)


def _line(name: str, x: list[int], y: list[float], color: str, **line: Any) -> dict[str, Any]:
    hover = f"step %{{x}}: %{{y:.2f}}<extra>{name}</extra>"
    return {"type": "scatter", "name": name, "x": x, "y": y, "hovertemplate": hover, "line": {"color": color, **line}}


def reward_figure(steps: Sequence[Step], looked_at: int, planned: SearchSettings | None) -> dict[str, Any]:
    """{"data", "layout", "summary"}: two for Plotly.react, and the same in words. planned: of the steps to come."""
    x = [step.index for step in steps]
    last = max(planned.steps if planned else 1, len(steps) - 1, 1)
    thresholds = [step.settings.threshold for step in steps] + [planned.threshold] * 2 if planned else []
    scores = [step.reward for step in steps]
    best = list(accumulate(scores, max))
    data = [
        _line("threshold τ", [*x, len(steps), last][: len(thresholds)], thresholds, QUIET, dash="dot", width=1.5)
        | {"mode": "lines"},
        _line("best so far", x, best, QUIET, shape="hv", width=1.5) | {"mode": "lines"},
        _line("score", x, scores, ACCENT, width=2.5) | {"mode": "lines+markers", "marker": {"size": 8}},
    ]
    axis = {"gridcolor": GRID, "zeroline": False, "linecolor": GRID, "fixedrange": False}
    mark = {"type": "line", "xref": "x", "yref": "paper", "x0": looked_at, "x1": looked_at, "y0": 0, "y1": 1}
    layout = {
        "uirevision": "run",
        "height": 240,
        "margin": {"l": 44, "r": 12, "t": 8, "b": 40},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": TEXT, "size": 12},
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "xaxis": axis | {"title": {"text": "step"}, "range": [-0.3, last + 0.3], "dtick": tick(last)},
        "yaxis": axis | {"range": [-0.04, 1.04], "dtick": 0.25},
        "shapes": [mark | {"line": {"color": ACCENT, "width": 1, "dash": "dash"}}] if steps else [],
    }
    return {"data": data, "layout": layout, "summary": summary(steps)}


def tick(count: int) -> int:
    """Distance between two ticks that leaves about ten on the axis."""
    return next((d for d in (1, 2, 5, 10, 20, 50, 100) if count / d <= 10), 200)


def summary(steps: Sequence[Step]) -> str:
    if not steps:
        return "Score by step: no step yet."
    listed = ", ".join(f"{step.reward:.2f}" for step in steps)
    return f"Score by step, from step 0: {listed}. Best: {max(s.reward for s in steps):.2f} at step {steps[-1].best}."
