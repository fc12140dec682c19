"""The latents that a search moves: which positions, their values, and Adam's moments, row by row; and log p of tokens.

Rows come and go when a ratio is changed by hand; each row keeps its own step count, so that Adam treats a new
row as `torch.optim.Adam` treats a new parameter.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from milr_core.settings import size

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Latents:
    """n optimised latents. values, mean, variance: (n, ...) float32; positions, count: (n,) int64.

    `ratio` and `rule` are what the group was sized for: it is resized only when they change.
    """

    values: Tensor
    positions: Tensor
    mean: Tensor
    variance: Tensor
    count: Tensor
    ratio: float
    rule: str

    @classmethod
    def new(cls, values: Tensor, positions: Tensor, ratio: float, rule: str) -> "Latents":
        """Latents that no step has moved yet."""
        count = torch.zeros(len(positions), dtype=torch.long)
        return cls(values, positions, torch.zeros_like(values), torch.zeros_like(values), count, ratio, rule)

    def __len__(self) -> int:
        return len(self.positions)

    def to(self, device: str | torch.device) -> "Latents":
        """The same latents on a device; positions and counts stay on the CPU."""
        moved = {name: getattr(self, name).to(device) for name in ("values", "mean", "variance")}
        return replace(self, **moved)


def log_probability(logits: Tensor, tokens: Tensor) -> Tensor:
    """Sum of log p(token). logits: (n, V); tokens: (n,) -> scalar, in float32."""
    return torch.log_softmax(logits.float(), dim=-1).gather(-1, tokens.unsqueeze(-1)).sum()


def positions(rule: str, count: int, total: int, seed: int) -> Tensor:
    """(count,) positions in order: the first ones, or a choice fixed by the seed (paper, Table 5)."""
    if rule == "prefix":
        return torch.arange(count)
    return torch.randperm(total, generator=torch.Generator().manual_seed(seed))[:count].sort().values


def resize(old: Latents | None, rollout: Tensor, ratio: float, rule: str, seed: int) -> Latents:
    """Latents for `ratio` of a rollout (N, ...): rows at positions that stay are kept with their moments, new ones
    are taken from the rollout, the rest is dropped. The same object if neither ratio nor rule has changed.
    """
    if old is not None and (old.ratio, old.rule) == (ratio, rule):
        return old
    wanted = positions(rule, size(ratio, len(rollout)), len(rollout), seed)
    new = Latents.new(rollout[wanted.to(rollout.device)].float().clone(), wanted, ratio, rule)
    if old is not None:
        rows = {int(p): row for row, p in enumerate(old.positions)}
        for row, position in enumerate(wanted.tolist()):
            if position in rows:
                for name in ("values", "mean", "variance", "count"):
                    getattr(new, name)[row] = getattr(old, name)[rows[position]]
    return new


def adam_step(latents: Latents, gradient: Tensor, lr: float) -> Latents:
    """One step of Adam (Kingma and Ba), as `torch.optim.Adam` does it, each row with its own bias correction."""
    count = latents.count + 1
    mean = BETA1 * latents.mean + (1 - BETA1) * gradient
    variance = BETA2 * latents.variance + (1 - BETA2) * gradient.square()
    shape = (-1,) + (1,) * (gradient.dim() - 1)
    n = count.to(gradient.device).view(shape)
    step_size = lr / (1 - BETA1**n)
    denominator = (variance / (1 - BETA2**n)).sqrt() + EPSILON
    values = latents.values - step_size * mean / denominator
    return replace(latents, values=values, mean=mean, variance=variance, count=count)


def splice(tokens: Tensor, positions: Tensor, chosen: Tensor, end: int) -> Tensor:
    """A text up to the last of `positions`: there the `chosen` tokens, between them `tokens` (M,) as they are.

    Cut after the first `end` token, and where `tokens` have nothing between two positions.
    """
    given: list[int] = []
    for position, token in zip(positions.tolist(), chosen.tolist(), strict=True):
        given += tokens[len(given) : position].tolist()
        if len(given) < position or end in given:
            break
        given.append(token)
        if token == end:
            break
    return torch.tensor(given, dtype=torch.long, device=tokens.device)
