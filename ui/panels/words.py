"""How figures read in a sentence."""

from collections.abc import Sequence
from typing import Any

from milr_core import Cost
from ui.run import Outline


def number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def seconds(value: float) -> str:
    """About how long: 0.4 s, 12 s, 3 min."""
    if value < 10:
        return f"{value:.1f} s"
    return f"{value:.0f} s" if value < 100 else f"{value / 60:.0f} min"


def cost(spent: Cost) -> str:
    dollars = f" (${spent.judge_dollars:.4f})" if spent.judge_dollars else ""
    paid = f", {counted(spent.judge_calls, 'call')} to a judge{dollars}" if spent.judge_calls else ""
    return (
        f"{spent.seconds:.2f} s, {counted(spent.image_rollouts, 'image')}, {counted(spent.text_tokens, 'text token')}, "
        f"{counted(spent.critic_calls, 'critic call')}{paid}"
    )


def best_value(steps: Sequence[Outline]) -> float:
    return steps[steps[-1].best].reward


def since(steps: Sequence[Outline], index: int, name: str) -> int:
    """First step of the stretch up to `index` in which the setting had its present value."""
    first, value = index, getattr(steps[index].settings, name)
    while first > 0 and getattr(steps[first - 1].settings, name) == value:
        first -= 1
    return first
