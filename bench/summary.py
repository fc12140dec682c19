"""What a reader wants to know first of some runs: three sentences, made of their records."""

from collections.abc import Sequence

from bench.methods import parse_method
from bench.results import REFERENCE, Keep, Results, everything
from bench.statistics import Interval, observed, success

ANEW = ("best-of-n-resampled-0.7", "best-of-n-resampled-0.5", "best-of-n-resampled")
"""Best-of-N with the text sampled anew: what a search has to beat. The first of them that a run has."""


SUITE_WORDS = {"paper": "GenEval's kinds and riddles", "world": "the embedded world's test split"}
"""Suites, in words."""


def _share(part: Interval) -> str:
    """ "77% [70, 84]"."""
    return f"{part.mean:.0%} [{100 * part.low:.0f}, {100 * part.high:.0f}]"


def _against(gain: Interval, other: str) -> str:
    """ "better than the other (+0.10 [+0.04, +0.17])", or what else can be said."""
    size = f"({gain.mean:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}])"
    sign = gain.sign if abs(gain.mean) >= 0.005 else 0  # what is written as 0.00 is no difference
    words = {1: "better than", 0: "no different from", -1: "worse than"}
    return f"{words[sign]} {other} {size}"


def _best(results: Results, methods: Sequence[str], keep: Keep = everything) -> str | None:
    means = {method: results.interval(method, success, keep) for method in methods}
    there = {method: point.mean for method, point in means.items() if point}
    return max(there, key=there.__getitem__) if there else None


def _searches(results: Results) -> tuple[list[str], list[str]]:
    """The paper's and those beside it, guided by the run's critic."""
    own = [m for m in map(parse_method, results.methods) if m.searches and m.guide is None and not m.changes]
    beside = [m.name for m in own if m.beside]
    return [m.name for m in own if not m.beside], beside


def _success(results: Results) -> str:
    paper, beside = _searches(results)
    shown = [m for m in ("base", "step0", REFERENCE, *ANEW) if m in results.methods]
    shown += [m for m in (_best(results, paper), _best(results, beside)) if m]
    means = {m: results.interval(m, success) for m in shown}
    each = (f"{results.label(m)} {_share(point)}" for m, point in means.items() if point)
    fixed = results.manifest["fixed"]
    kind = SUITE_WORDS.get(fixed["suite"]) or fixed["suite"]
    kind += ", half with a wrong plan" if fixed["plans"] == "both" else ""
    return (
        f"Of {len(results.category)} prompts ({kind}), with at most "
        f"{fixed['settings']['steps'] + 1} images each, {fixed['critic']} finds drawn right: {'; '.join(each)}."
    )


def _worth(results: Results) -> str | None:
    """The best searches against sampling the text again, where it matters."""
    wrong = results.where_plan(False)
    over = next((m for m in ANEW if m in results.methods), None)
    best = [m for m in (_best(results, names, wrong) for names in _searches(results)) if m]
    if over is None or not best or False not in results.plan_right.values():
        return None
    others = {REFERENCE: "Best-of-N with its first text", over: "Best-of-N with the text sampled anew"}
    said = []
    for method in best:
        gains = ((name, results.gain(method, other, success, wrong)) for other, name in others.items())
        said.append(f"{results.label(method)} is {' and '.join(_against(gain, name) for name, gain in gains if gain)}")
    return f"Where the model's first plan is wrong, at equal numbers of images, {'; '.join(said)}."


def _held_out(results: Results) -> str | None:
    paper, beside = _searches(results)
    if REFERENCE not in results.methods or not results.observers:
        return None
    said = []
    for method in (m for m in (_best(results, paper), _best(results, beside)) if m):
        gains = ((name, results.gain(method, REFERENCE, observed(name))) for name in results.observers)
        said += [
            f"to {name} the answers of {results.label(method)} are {_against(gain, 'those of Best-of-N')}"
            for name, gain in gains
            if gain
        ]
    return f"To a critic that did not guide, which is what to trust: {'; '.join(said)}."


def opening(runs: Sequence[Results]) -> list[str]:
    """Up to three sentences, each from the first run that can say it."""
    found = (next(filter(None, map(say, runs)), None) for say in (_success, _worth, _held_out))
    return [sentence for sentence in found if sentence]
