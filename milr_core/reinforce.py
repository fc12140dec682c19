"""Functions of logits: classifier-free guidance, log-probability, entropy."""

import torch
from torch import Tensor


def log_probability(logits: Tensor, tokens: Tensor) -> Tensor:
    """Sum of log p(token). logits: (n, V); tokens: (n,) -> scalar, in float32."""
    return torch.log_softmax(logits.float(), dim=-1).gather(-1, tokens.unsqueeze(-1)).sum()


def entropy(logits: Tensor) -> Tensor:
    """Compute the entropy of each distribution, in nats. logits: (n, V) -> (n,), in float32."""
    log_p = torch.log_softmax(logits.float(), dim=-1)
    return -(log_p.exp() * log_p).sum(-1)
