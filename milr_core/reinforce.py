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


def advantages(batch: list[float], baseline: str, values_before: list[float]) -> list[float]:
    """One advantage for each rollout of an update's batch, the current one last.

    "leave-one-out": b is the mean of the other rollouts of the batch, which no rollout's own luck enters; where the
    batch is one rollout, of the run's rollouts before it (the first has none, and advantage 0).
    """
    if baseline != "leave-one-out":
        return [advantage(value, baseline, values_before) for value in batch]
    if len(batch) == 1:
        earlier = values_before[:-1]
        return [batch[0] - sum(earlier) / len(earlier)] if earlier else [0.0]
    return [value - (sum(batch) - value) / (len(batch) - 1) for value in batch]


def log_probability(logits: Tensor, tokens: Tensor) -> Tensor:
    """Sum of log p(token). logits: (n, V); tokens: (n,) -> scalar, in float32."""
    return torch.log_softmax(logits.float(), dim=-1).gather(-1, tokens.unsqueeze(-1)).sum()


def entropy(logits: Tensor) -> Tensor:
    """Of each distribution, in nats. logits: (n, V) -> (n,), in float32."""
    log_p = torch.log_softmax(logits.float(), dim=-1)
    return -(log_p.exp() * log_p).sum(-1)


def loss(log_probabilities: Tensor, adv: float) -> Tensor:
    """Minimised by Adam: a negative advantage lowers the probability of the decoded tokens."""
    return -adv * log_probabilities
