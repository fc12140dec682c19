"""Checkpoints of which something is wrong."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def change(folder: Path, name: str, tensor: torch.Tensor | None) -> None:
    """Write a folder's weights anew with another tensor of that name, or without it."""
    held = load_file(folder / "model.safetensors")
    held.pop(name, None)
    if tensor is not None:
        held[name] = tensor
    save_file(held, folder / "model.safetensors", metadata={"format": "pt"})


def fill(folder: Path, name: str, value: float) -> None:
    """Fill a tensor with one value."""
    change(folder, name, torch.full_like(load_file(folder / "model.safetensors")[name], value))
