"""Janus: which checkpoints there are, how they come into memory, and how they read prompts, reason and draw."""

from typing import TYPE_CHECKING

from milr_core.janus.catalog import ALIASES, ASSETS, MODELS, ModelInfo
from milr_core.janus.progress import Loading, Progress
from milr_core.janus.reading import Reading
from milr_core.later import later

if TYPE_CHECKING:
    from milr_core.janus.devices import default_device, free_bytes
    from milr_core.janus.janus import Janus
    from milr_core.janus.load import load_model
    from milr_core.janus.memory import Memory, memory_needed
    from milr_core.janus.workspace import Workspace
else:  # these need torch
    __getattr__ = later(
        __name__,
        {
            "devices": ("default_device", "free_bytes"),
            "janus": ("Janus",),
            "load": ("load_model",),
            "memory": ("Memory", "memory_needed"),
            "workspace": ("Workspace",),
        },
    )

__all__ = [
    "ALIASES",
    "ASSETS",
    "MODELS",
    "Janus",
    "Loading",
    "Memory",
    "ModelInfo",
    "Progress",
    "Reading",
    "Workspace",
    "default_device",
    "free_bytes",
    "load_model",
    "memory_needed",
]
