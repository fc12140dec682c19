"""Tables of a run, as Markdown that also reads in a terminal; and in words, what they say about MILR and Best-of-N."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.methods import parse_method
from bench.results import REFERENCE, Keep, Results, everything
from bench.statistics import COSTS, Interval, judged, observed, rewarded, seconds, success

FULL = "best-of-n"
"""Best-of-N that stops at nothing: what it takes is the budget that others are cut off at."""
SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)


@dataclass(frozen=True)
class Table:
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        lines = [list(self.header), *map(list, self.rows)]
        widths = [max(len(row[i]) for row in lines) for i in range(len(self.header))]
        text = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in lines]
        text.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
        return f"**{self.title}**\n\n" + "\n".join(text) + "\n"


def cell(figure: Interval | None) -> str:
    return "-" if figure is None else str(figure)


def mean(figure: Interval | None) -> str:
    return "-" if figure is None else f"{figure.mean:.{2 if figure.mean < 10 else 0}f}"


def main_table(results: Results, methods: Sequence[str], title: str, keep: Keep = everything) -> Table:
    """Success, gain over the reference, reward by the run's critic and the held-out ones, and every cost."""
    critic = results.manifest["fixed"]["critic"]
    reference = REFERENCE if REFERENCE in methods else None
    header = ["method", "prompts", "success"]
    header += ["success minus Best-of-N early"] if reference else []
    others_guide = {record["guide"] for method in methods for record in results.of(method)} != {critic}
    header += ["reward (own critic)"] if others_guide else []
    header += [f"reward ({critic})"]
    header += [f"{name} says {what}" for name in results.observers for what in ("right", "value")]
    header += [name for name, _ in COSTS]
    rows = []
    for method in methods:
        right = results.interval(method, success, keep)
        row = [results.label(method), str(right.prompts) if right else "0", cell(right)]
        if reference:
            row.append("" if method == reference else cell(results.gain(method, reference, success, keep)))
        if others_guide:
            row.append(cell(results.interval(method, rewarded, keep)))
        row.append(cell(results.interval(method, judged, keep)))
        row += [
            cell(results.interval(method, observed(name, what), keep))
            for name in results.observers
            for what in ("right", "values")
        ]
        row += [mean(results.interval(method, figure, keep)) for _, figure in COSTS]
        rows.append(row)
    return Table(title, header, rows)


def category_table(results: Results, methods: Sequence[str], title: str) -> Table:
    """Success by category, and overall as the benchmark averages them."""
    rows = [
        [
            results.label(method),
            *(cell(results.interval(method, success, results.in_category(c))) for c in results.categories),
            cell(results.interval(method, success)),
        ]
        for method in methods
    ]
    return Table(title, ["method", *results.categories, "overall"], rows)


def rollouts_table(
    results: Results, methods: Sequence[str], budgets: Sequence[int], title: str, keep: Keep = everything
) -> Table:
    """Success within so many image rollouts: each method cut off at the same cost."""
    rows = []
    for method in methods:
        within = [results.interval(method, lambda r, n=n: success(r, n), keep) for n in budgets]
        rows.append([results.label(method), *map(cell, within)])
    return Table(title, ["method", *(f"{n} rollout{'s' * (n > 1)}" for n in budgets)], rows)


def seconds_table(results: Results, methods: Sequence[str], title: str, keep: Keep = everything) -> Table | None:
    """Success within equal seconds: shares of what the reference takes on the mean where it stops at nothing."""
    whole = results.interval(FULL, seconds, keep) if FULL in results.methods else None
    if whole is None:
        return None
    budgets = [whole.mean * share for share in SHARES]
    rows = [
        [
            results.label(method),
            *(cell(results.interval(method, lambda r, t=t: success(r, seconds=t), keep)) for t in budgets),
        ]
        for method in methods
    ]
    return Table(title, ["method", *(f"{t:.2f} s" for t in budgets)], rows)


def reach_table(
    results: Results, methods: Sequence[str], over: Sequence[str], title: str, keep: Keep = everything
) -> Table:
    """Image rollouts until a method's success is what each of `over` has with all of its own."""
    most = max(max(record["rollouts"]) for record in results.records)
    goals = {other: results.interval(other, success, keep) for other in over}
    rows = []
    for method in methods:
        row = [results.label(method)]
        curve = {n: results.interval(method, lambda r, n=n: success(r, n), keep) for n in range(1, most + 1)}
        for goal in goals.values():
            there = [n for n, point in curve.items() if goal and point and point.mean >= goal.mean]
            row.append(str(there[0]) if there else f"more than {most}")
        rows.append(row)
    header = [f"to {results.label(other)}'s {goal.mean:.2f}" for other, goal in goals.items() if goal]
    return Table(title, ["method", *header], rows)


def gains_table(
    results: Results, methods: Sequence[str], over: Sequence[str], title: str, keep: Keep = everything
) -> Table:
    """Success of each method minus that of each method in `over`, paired over prompts."""
    rows = [
        [results.label(method), *(cell(results.gain(method, other, success, keep)) for other in over)]
        for method in methods
    ]
    return Table(title, ["method", *(f"minus {results.label(other)}" for other in over)], rows)


def verdicts(results: Results, methods: Sequence[str], over: str = REFERENCE) -> list[str]:
    """Say of each search, in plain words, whether it beats another method (Best-of-N): overall, by plan, and in the
    categories where there is a difference.
    """
    if over not in methods:
        return []
    other = "Best-of-N with the same early stop" if over == REFERENCE else results.label(over)
    parts: dict[str, Keep] = {"overall": everything}
    if any(results.plan_right.values()) and not all(results.plan_right.values()):
        parts |= {"where the plan is right": results.where_plan(True), "where it is wrong": results.where_plan(False)}
    parts |= {f"in {c}": results.in_category(c) for c in results.categories}
    lines = []
    for method in methods:
        if not parse_method(method).searches:
            continue
        said: dict[int, list[str]] = {1: [], 0: [], -1: []}
        for where, keep in parts.items():
            gain = results.gain(method, over, success, keep)
            if gain is not None and (gain.sign or not where.startswith("in ")):
                said[gain.sign].append(f"{where} ({gain.mean:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}])")
        words = {1: "beats it", 0: "shows no difference", -1: "is worse"}
        sentence = "; ".join(f"{words[sign]} {', '.join(where)}" for sign, where in said.items() if where)
        lines.append(f"**{results.label(method)}** against {other}: {sentence}.")
    return lines
