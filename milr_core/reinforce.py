"""REINFORCE on latents: advantage and loss as pure functions (paper, equations 5 and 6)."""

import torch
from torch import Tensor


def advantage(value: float, baseline: str, values_before: list[float]) -> float:
    """value - b. `values_before`: the scores of the run up to and with the current one.

    b = 1 ("one") is the authors' code, whose rewards lie in [-1, 0]: text is decoded greedily, so with a weight
    that is never negative the current tokens are only reinforced and nothing moves.
    """
    b = {"one": 1.0, "zero": 0.0, "running": sum(values_before) / max(1, len(values_before))}[baseline]
    return value - b


def guided(logits: Tensor, weight: float) -> Tensor:
    """Classifier-free guidance. logits: (..., 2, V), conditional then unconditional -> (..., V)."""
    conditional, unconditional = logits.unbind(-2)
    return unconditional + weight * (conditional - unconditional)


def log_probability(logits: Tensor, tokens: Tensor) -> Tensor:
    """Sum of log p(token). logits: (n, V); tokens: (n,) -> scalar, in float32."""
    return torch.log_softmax(logits.float(), dim=-1).gather(-1, tokens.unsqueeze(-1)).sum()


def loss(log_probabilities: Tensor, adv: float) -> Tensor:
    """Minimised by Adam: a negative advantage lowers the probability of the decoded tokens."""
    return -adv * log_probabilities
