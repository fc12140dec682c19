"""Means over prompts with 95% bootstrap intervals; differences are paired over prompts.

A prompt's figure is its mean over seeds first: seeds of a prompt are not independent prompts, so prompts are resampled
and their seeds go with them. Where a benchmark averages categories, prompts are resampled within each.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Record = dict[str, Any]
Figure = Callable[[Record], float]

RESAMPLES = 4000


@dataclass(frozen=True)
class Interval:
    """Mean, 95% bootstrap interval, and how many prompts it is of."""

    mean: float
    low: float
    high: float
    prompts: int

    def __str__(self) -> str:
        places = 2 if abs(self.mean) < 10 else 1 if abs(self.mean) < 100 else 0
        return f"{self.mean:.{places}f} [{self.low:.{places}f}, {self.high:.{places}f}]"

    @property
    def sign(self) -> int:
        """1 or -1 where the interval is above or below zero, else 0."""
        return (self.low > 0) - (self.high < 0)


def by_item(records: Iterable[Record], figure: Figure) -> dict[str, float]:
    """Item -> the figure's mean over its seeds."""
    values: dict[str, list[float]] = {}
    for record in records:
        values.setdefault(record["item"], []).append(float(figure(record)))
    return {item: sum(own) / len(own) for item, own in values.items()}


def interval(values: Mapping[str, float], category: Mapping[str, str], weights: Mapping[str, float] | None) -> Interval:
    """Average a figure over items, with its bootstrap interval.

    weights: of categories, rescaled over those that are there; None is the plain mean.
    """
    strata: dict[str, list[float]] = {}
    for item, value in values.items():
        strata.setdefault(category[item] if weights else "", []).append(value)
    share = {name: weights[name] if weights else 1.0 for name in strata}
    total = sum(share.values())
    rng = np.random.default_rng(0)
    mean, resampled = 0.0, np.zeros(RESAMPLES)
    for name in sorted(strata):
        data = np.asarray(strata[name])
        mean += share[name] / total * data.mean()
        resampled += share[name] / total * data[rng.integers(0, len(data), (RESAMPLES, len(data)))].mean(1)
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Interval(float(mean), float(low), float(high), len(values))


def difference(a: Mapping[str, float], b: Mapping[str, float]) -> dict[str, float]:
    """a - b on the items that both have."""
    return {item: a[item] - b[item] for item in a if item in b}


def answer(record: Record, rollouts: float = math.inf, seconds: float = math.inf) -> int:
    """The step that is the method's answer: the best by its guide (the first on a tie) within a budget.

    The first step counts whatever it took: without it there is no answer.
    """
    within = [i for i, n in enumerate(record["rollouts"]) if n <= rollouts and _seconds(record, i) <= seconds]
    return max(within or [0], key=record["rewards"].__getitem__)


def _seconds(record: Record, step: int) -> float:
    """Up to and with a step; records of before steps were timed singly have only the whole, shared out evenly."""
    timing = record["timing"]
    return timing["at"][step] if "at" in timing else timing["seconds"] * (step + 1) / len(record["rewards"])


def success(record: Record, rollouts: float = math.inf, seconds: float = math.inf) -> float:
    """1 where the run's critic finds the answer right."""
    return float(record["right"][answer(record, rollouts, seconds)])


def rewarded(record: Record) -> float:
    """What the critic that guided the method gives the answer."""
    return record["rewards"][answer(record)]


def judged(record: Record) -> float:
    """What the run's critic gives the answer."""
    return record["judged"][answer(record)]


def observed(name: str, what: str = "values") -> Figure:
    """What a held-out critic gives the answer (`values`), or whether it finds it right (`right`)."""
    return lambda record: float(record["observed"][name][what][answer(record)])


def seconds(record: Record) -> float:
    return record["timing"]["seconds"]


COSTS: Sequence[tuple[str, Figure]] = (
    ("image rollouts", lambda r: r["image_rollouts"]),
    ("text tokens", lambda r: r["text_tokens"]),
    ("image tokens x 2", lambda r: 2 * r["image_tokens"]),
    ("critic calls", lambda r: r["critic_calls"]),
    ("seconds", seconds),
)
