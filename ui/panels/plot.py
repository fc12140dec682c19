"""The reward plot as a plotly figure in plain data.

Colours are names of the theme's CSS variables; the script reads their values, so the plot follows light and dark, and
draws the mark of the step looked at, so that moving it sends nothing.
"""

from collections.abc import Sequence
from html import escape
from itertools import accumulate
from pathlib import Path
from typing import Any

import gradio as gr
import plotly

from milr_core import SearchSettings
from ui.panels.scripted import FILES, LABELLED, scripted
from ui.panels.settings_table import changes
from ui.run import Outline

PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"

TEMPLATE = """<div class="plot" role="img" aria-label="Score by step: no step yet."></div>
<p class="changes"></p>
<p class="tools"><button type="button" class="home">Whole run</button>
<button type="button" data-format="svg" aria-label="Save the plot as SVG">SVG ↓</button>
<button type="button" data-format="png" aria-label="Save the plot as PNG">PNG ↓</button></p>"""

ACCENT, QUIET, TEXT, GRID, CARD = (
    "var(--color-accent)",
    "var(--body-text-color-subdued)",
    "var(--body-text-color)",
    "var(--border-color-primary)",
    "var(--block-background-fill)",
)
DASHES = ("dash", "longdash", "dashdot", "longdashdot", "5px,2px", "2px,4px,8px,4px")
TOLD = 3
"""Changes of settings that are said below the plot; all are at the pointer."""

HUES = ("#0891b2", "#c2410c", "#7c3aed", "#4d7c0f", "#be185d", "#a16207")
"""Of other runs, in light and dark."""


def build_plot() -> gr.HTML:
    head = f'<script src="{FILES}/plotly/{PLOTLY.name}"></script>'
    return scripted(__file__, TEMPLATE, reward_figure([], None) | {"run": 0}, label="Reward", head=head, **LABELLED)


def _line(
    name: str, x: Sequence[int], y: Sequence[float], line: dict[str, Any], marker: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A line, with a mark at each point where one is given."""
    name = escape(name, quote=False)  # a critic's name comes from a bundle, and plotly takes some HTML: links, for one
    hover = f"step %{{x}}: %{{y:.2f}}<extra>{name}</extra>"
    drawn = {"mode": "lines+markers", "marker": marker} if marker else {"mode": "lines"}
    return {"type": "scatter", "name": name, "x": x, "y": y, "hovertemplate": hover, "line": line, **drawn}


def _points(steps: Sequence[Outline]) -> tuple[list[int], list[float]]:
    return [step.index for step in steps], [step.reward for step in steps]


def reward_figure(
    steps: Sequence[Outline],
    planned: SearchSettings | None,
    others: Sequence[tuple[int, Sequence[Outline]]] = (),
    name: str = "score",
) -> dict[str, Any]:
    """{"data", "layout", "summary", "changes"}: two for Plotly.react, the same in words, and where settings changed.

    planned: of the steps to come. others: (number, steps) of runs drawn behind this one; `meta` of a line
    says whose it is.
    """
    x, scores = _points(steps)
    longest = max([len(steps), *(len(s) for _, s in others)]) - 1
    last = max((planned or SearchSettings()).steps, longest, 1)
    thresholds = [step.settings.threshold for step in steps] + [planned.threshold] * 2 if planned else []
    data = []
    for n, theirs in others:
        line = {"color": HUES[n % 6], "width": 1.5, "dash": DASHES[n % 6]}
        data.append(_line(f"run {n}", *_points(theirs), line, {"size": 4}) | {"meta": n})
    line = {"color": QUIET, "width": 1.5}
    until = [*x, min(len(steps), last), last][: len(thresholds)]
    data.append(_line("threshold τ", until, thresholds, line | {"dash": "dot"}))
    data.append(_line("best so far", x, list(accumulate(scores, max)), line | {"shape": "hv"}))
    for critic in dict.fromkeys(critic for step in steps for critic in step.observed):
        seen = {step.index: step.observed[critic].value for step in steps if critic in step.observed}
        line, mark = {"color": TEXT, "width": 1.5}, {"size": 7, "symbol": "diamond-open"}
        data.append(_line(f"held out: {critic}", [*seen], [*seen.values()], line, mark))
    moved = changes(steps)
    data.append(
        {
            "type": "scatter",
            "mode": "markers",
            "name": "setting changed",
            "showlegend": bool(moved),
            "x": [at for at, _ in moved],
            "y": [1.0] * len(moved),
            "text": ["<br>".join(said) for _, said in moved],
            "hovertemplate": "from step %{x}<br>%{text}<extra></extra>",
            "marker": {"size": 9, "symbol": "triangle-down", "color": TEXT},
        }  # fmt: skip
    )
    data.append(_line(name, x, scores, {"color": ACCENT, "width": 2.5}, {"size": 8}))
    told = [f"from step {at}: {', '.join(said)}" for at, said in moved]
    return {
        "data": data, "layout": _layout(last, moved), "summary": summary(steps), "steps": len(steps),
        "changes": f"Changed {'; '.join(told[-TOLD:])}." if told else "",
    }  # fmt: skip


def _layout(last: int, moved: Sequence[tuple[int, list[str]]]) -> dict[str, Any]:
    axis = {"gridcolor": GRID, "zeroline": False, "linecolor": GRID, "fixedrange": False}
    return {
        "uirevision": "run",
        "height": 212,
        "margin": {"l": 44, "r": 12, "t": 8, "b": 40},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": TEXT, "size": 12},
        "hoverlabel": {"bgcolor": CARD, "bordercolor": GRID, "font": {"color": TEXT}},
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "xaxis": axis | {"title": {"text": "step"}, "range": [-0.3, last + 0.3], "dtick": tick(last)},
        "yaxis": axis | {"range": [-0.04, 1.06], "dtick": 0.25},
        "shapes": [
            {
                "type": "line", "xref": "x", "yref": "paper", "x0": at, "x1": at, "y0": 0, "y1": 1,
                "line": {"color": QUIET, "width": 1, "dash": "dot"},
            }
            for at, _ in moved
        ],
    }  # fmt: skip


def tick(count: int) -> int:
    """Distance between two ticks that leaves about ten on the axis."""
    return next((d for d in (1, 2, 5, 10, 20, 50, 100) if count / d <= 10), 200)


def summary(steps: Sequence[Outline]) -> str:
    if not steps:
        return "Score by step: no step yet."
    listed = ", ".join(f"{step.reward:.2f}" for step in steps)
    return f"Score by step, from step 0: {listed}. Best: {max(s.reward for s in steps):.2f} at step {steps[-1].best}."
