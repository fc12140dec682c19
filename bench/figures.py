"""Plotly figures of a run; written as HTML, and as SVG and PNG where Kaleido finds a Chrome."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import plotly.graph_objects as go
import plotly.io as pio

from bench.results import Keep, Results, everything
from bench.statistics import Interval, success

logger = logging.getLogger(__name__)

COLORS = ("#4f46e5", "#d97706", "#059669", "#db2777", "#0284c7", "#65a30d", "#7c3aed", "#dc2626", "#475569", "#0d9488")


def _styled(figure: go.Figure, title: str, x: str, y: str) -> go.Figure:
    return figure.update_layout(
        title=title, xaxis_title=x, yaxis_title=y, template="plotly_white", colorway=COLORS, width=900, height=480,
        legend={"orientation": "h", "y": -0.22}, margin={"t": 60, "r": 20},
    )  # fmt: skip


def _line(name: str, xs: Sequence[float], points: Sequence[Interval | None]) -> go.Scatter:
    """points: as of `xs`; None, where nothing was made, is left out."""
    there = {x: point for x, point in zip(xs, points, strict=True) if point}
    return go.Scatter(
        x=list(there),
        y=[p.mean for p in there.values()],
        error_y={
            "array": [p.high - p.mean for p in there.values()],
            "arrayminus": [p.mean - p.low for p in there.values()],
            "width": 3,
        },
        name=name,
        mode="lines+markers",
    )


def against_rollouts(
    results: Results, methods: Sequence[str], budgets: Sequence[int], title: str, keep: Keep = everything
) -> go.Figure:
    """Success against image rollouts, every method cut off at the same cost."""
    figure = go.Figure()
    for method in methods:
        points = [results.interval(method, lambda r, n=n: success(r, n), keep) for n in budgets]
        if points[0] is not None:
            figure.add_trace(_line(results.label(method), budgets, points))
    return _styled(figure, title, "image rollouts", "success, 95% interval").update_xaxes(type="log", dtick="D1")


def sweep(results: Results, lines: Mapping[str, Mapping[float, str]], title: str, x: str) -> go.Figure:
    """Success over the values of a setting. lines: name -> value of the setting -> method."""
    figure = go.Figure()
    for name, methods in lines.items():
        figure.add_trace(_line(name, list(methods), [results.interval(m, success) for m in methods.values()]))
    return _styled(figure, title, x, "success, 95% interval")


def bars(results: Results, methods: Sequence[str], title: str) -> go.Figure:
    """Success by category and overall, a group of bars each."""
    figure = go.Figure()
    for method in methods:
        keeps = [*map(results.in_category, results.categories), everything]
        points = [results.interval(method, success, keep) or Interval(0, 0, 0, 0) for keep in keeps]
        up, down = [p.high - p.mean for p in points], [p.mean - p.low for p in points]
        figure.add_trace(
            go.Bar(
                x=[*results.categories, "overall"],
                y=[p.mean for p in points],
                error_y={"array": up, "arrayminus": down, "width": 2},
                name=results.label(method),
            )
        )
    return _styled(figure, title, "", "success, 95% interval").update_layout(barmode="group")


def write_html(figures: Mapping[str, go.Figure], folder: Path) -> None:
    """NAME.html for each, with plotly.js once beside them: they open with no network."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        figure.write_html(folder / f"{name}.html", include_plotlyjs="directory")


def write_static(figures: Mapping[str, go.Figure], folder: Path, formats: Sequence[str] = ("svg", "png")) -> bool:
    """NAME.svg and NAME.png for each; False, with the reason logged, where this machine cannot draw them."""
    folder.mkdir(parents=True, exist_ok=True)
    pairs = [(figure, folder / f"{name}.{kind}") for name, figure in figures.items() for kind in formats]
    if not pairs:
        return True
    try:
        pio.write_images([figure for figure, _ in pairs], [path for _, path in pairs])
    except (ValueError, RuntimeError, OSError) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        logger.warning("No SVG and PNG: %s They need kaleido (an extra: .[bench]) and Chrome or Chromium.", reason)
        return False
    return True
