"""What both training stages share: learning-rate schedule, resumable state, progress line and log."""

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


def save_state(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    """Write atomically: a stop at any moment leaves the last whole state."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, partial)
    os.replace(partial, path)


def load_state(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Load a state if there is one; returns the number of steps it has behind it."""
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"]


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
