"""What the training stages share: an optimizer, the learning rate's schedule, resumable state, progress and log."""

import logging
import os
import sys
import time
from pathlib import Path

import torch
from torch import nn

logger = logging.getLogger(__name__)


def learning_rate(step: int, steps: int, peak: float, warmup: int, decay: float) -> float:
    """Linear warm-up, constant, then linear to zero over the last `decay` share of the steps."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * min(1.0, (steps - step) / (steps * decay))


def save_state(path: Path, model: nn.Module, step: int, *optimizers: torch.optim.Optimizer) -> None:
    """Write atomically: a stop at any moment leaves the last whole state."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    state = {"model": model.state_dict(), "optimizers": [o.state_dict() for o in optimizers], "step": step}
    torch.save(state, partial)
    os.replace(partial, path)


def load_state(path: Path, model: nn.Module, *optimizers: torch.optim.Optimizer) -> int:
    """Load a state if there is one; returns the number of steps it has behind it."""
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return state["step"]


class Muon(torch.optim.Optimizer):
    """Momentum whose steps are made orthogonal by a few Newton-Schulz iterations (Jordan, 2024), kernels as matrices.

    torch's own takes matrices only; a kernel (out, in, h, w) is one of (out, in * h * w) here.
    """

    def __init__(self, parameters: list[nn.Parameter], lr: float, momentum: float = 0.9, weight_decay: float = 0.01):
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                velocity = self.state[parameter].setdefault("velocity", torch.zeros_like(parameter))
                velocity.mul_(group["momentum"]).add_(parameter.grad)
                ahead = parameter.grad.add(velocity, alpha=group["momentum"]).flatten(1)
                update = orthogonal(ahead).view_as(parameter)
                taller = max(1.0, ahead.shape[0] / ahead.shape[1]) ** 0.5
                parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-group["lr"] * taller)


def orthogonal(matrix: torch.Tensor, iterations: int = 4) -> torch.Tensor:
    """(n, m) with all singular values brought near 1, by the quintic iteration that Muon uses."""
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(iterations):
        square = wide @ wide.T
        wide = 3.4445 * wide + (-4.7750 * square + 2.0315 * square @ square) @ wide
    return wide.T if matrix.shape[0] > matrix.shape[1] else wide


class Progress:
    """A line on the terminal at every step, a line in the log every `every` steps (averages since the last)."""

    def __init__(self, name: str, steps: int, start: int, every: int = 50):
        self.name, self.steps, self.start, self.every = name, steps, start, every
        self.started = time.monotonic()
        self.sums: dict[str, float] = {}
        self.count = 0

    def report(self, step: int, figures: dict[str, float]) -> None:
        for key, value in figures.items():
            self.sums[key] = self.sums.get(key, 0.0) + value
        self.count += 1
        rate = (step - self.start) / (time.monotonic() - self.started)
        line = f"{self.name} {step}/{self.steps} " + " ".join(f"{k} {v / self.count:.4f}" for k, v in self.sums.items())
        line += f" {rate:.2f} steps/s, {(self.steps - step) / rate / 60:.1f} min left"
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{line}\033[K")
        if step % self.every == 0 or step == self.steps:
            logger.info(line)
            self.sums, self.count = {}, 0
