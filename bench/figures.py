"""Plotly figures of a run; written as HTML, and as SVG and PNG where Kaleido finds a Chrome."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import plotly.graph_objects as go
import plotly.io as pio

from bench.results import Keep, Results, everything
from bench.statistics import Interval, success

logger = logging.getLogger(__name__)

COLORS = ("#4f46e5", "#d97706", "#059669", "#db2777", "#0284c7", "#65a30d", "#7c3aed", "#dc2626", "#475569", "#0d9488")
DASHES = ("solid", "dot", "dash")  # one more for each round of the colors


def _styled(figure: go.Figure, title: str, x: str, y: str, height: int = 480) -> go.Figure:
    return figure.update_layout(
        title=title, xaxis_title=x, yaxis_title=y, template="plotly_white", colorway=COLORS, width=900, height=height,
        legend={"orientation": "h", "y": -0.22}, margin={"t": 60, "r": 20},
    )  # fmt: skip


def _error(points: Iterable[Interval]) -> dict[str, list[float]]:
    points = list(points)
    return {"array": [p.high - p.mean for p in points], "arrayminus": [p.mean - p.low for p in points]}


def _line(name: str, xs: Sequence[float], points: Sequence[Interval | None], dash: str = "solid") -> go.Scatter:
    """points: as of `xs`; None, where nothing was made, is left out."""
    there = {x: point for x, point in zip(xs, points, strict=True) if point}
    return go.Scatter(
        x=list(there),
        y=[p.mean for p in there.values()],
        error_y=_error(there.values()) | {"width": 0, "thickness": 0.6},  # many lines share a chart
        name=name,
        mode="lines+markers",
        line={"dash": dash},
    )


def against_rollouts(
    results: Results, methods: Sequence[str], budgets: Sequence[int], title: str, keep: Keep = everything
) -> go.Figure:
    """Success against image rollouts, every method cut off at the same cost; names stand at the side."""
    figure = go.Figure()
    for i, method in enumerate(methods):
        points = [results.interval(method, lambda r, n=n: success(r, n), keep) for n in budgets]
        if points[0] is not None:
            dash = DASHES[i // len(COLORS) % len(DASHES)]
            figure.add_trace(_line(results.label(method), budgets, points, dash))
    styled = _styled(figure, title, "image rollouts", "success, 95% interval", 540)
    styled.update_xaxes(type="log", tickvals=list(budgets), ticktext=list(map(str, budgets)))
    return styled.update_layout(legend={"orientation": "v", "x": 1.02, "y": 1}, width=1100)


def sweep(results: Results, lines: Mapping[str, Mapping[float, str]], title: str, x: str) -> go.Figure:
    """Success over the values of a setting. lines: name -> value of the setting -> method."""
    figure = go.Figure()
    for name, methods in lines.items():
        figure.add_trace(_line(name, list(methods), [results.interval(m, success) for m in methods.values()]))
    return _styled(figure, title, x, "success, 95% interval")


def dots(results: Results, methods: Sequence[str], title: str) -> go.Figure:
    """Success of each method, a row each, with its interval: of all prompts and, where known, of those whose plan is
    wrong at step 0.
    """
    kinds: dict[str, Keep] = {"all prompts": everything}
    if False in results.plan_right.values():
        kinds["plan wrong at step 0"] = results.where_plan(False)
    figure = go.Figure()
    for (name, keep), symbol in zip(kinds.items(), ("circle", "diamond"), strict=False):
        points = {results.label(m): results.interval(m, success, keep) for m in methods}
        there = {label: point for label, point in points.items() if point}
        figure.add_trace(
            go.Scatter(
                x=[p.mean for p in there.values()],
                y=list(there),
                error_x=_error(there.values()),
                mode="markers",
                marker={"size": 10, "symbol": symbol},
                name=name,
            )
        )
    labels = [results.label(method) for method in methods]
    styled = _styled(figure, title, "success, 95% interval", "", 160 + 30 * len(labels))
    styled.update_layout(margin={"t": 90})
    styled.update_yaxes(categoryorder="array", categoryarray=labels[::-1], automargin=True)
    return styled.update_xaxes(range=[-0.03, 1.03]).update_layout(legend={"y": 1.02, "yanchor": "bottom"})


def heat(results: Results, methods: Sequence[str], title: str) -> go.Figure:
    """Success by category and overall: a row a method, the figures in the cells."""
    names = [*results.categories, "overall"]
    keeps = [*map(results.in_category, results.categories), everything]
    rows = [[results.interval(method, success, keep) for keep in keeps] for method in methods]
    figure = go.Figure(
        go.Heatmap(
            z=[[point and point.mean for point in row] for row in rows],
            x=names,
            y=[results.label(method) for method in methods],
            texttemplate="%{z:.2f}",
            colorscale=[[0, "#fff7ed"], [0.5, "#c7d2fe"], [1, "#6366f1"]],
            zmin=0,
            zmax=1,
            xgap=1,
            ygap=1,
            showscale=False,
        )
    )
    styled = _styled(figure, title, "", "", 160 + 28 * len(methods))
    return styled.update_yaxes(autorange="reversed", automargin=True).update_layout(width=1000)


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
    sizes = [figure.to_dict()["layout"] for figure, _ in pairs]
    try:
        pio.write_images(
            [figure for figure, _ in pairs],
            [path for _, path in pairs],
            width=[size.get("width") for size in sizes],  # kaleido takes its own otherwise
            height=[size.get("height") for size in sizes],
        )
    except (ValueError, RuntimeError, OSError) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        logger.warning("No SVG and PNG: %s They need kaleido (an extra: .[bench]) and Chrome or Chromium.", reason)
        return False
    return True
