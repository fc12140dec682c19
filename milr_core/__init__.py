"""MILR: test-time latent reasoning for text-to-image generation (arXiv 2509.22761), as a library."""

from typing import TYPE_CHECKING

from milr_core.control import SearchControl
from milr_core.critics import Critic, Mixture, Score, load_critic
from milr_core.errors import CriticError, InputError
from milr_core.janus import MODELS, Loading, ModelInfo
from milr_core.later import later
from milr_core.settings import SearchSettings, preset
from milr_core.state import Cost, State, Step
from milr_core.trajectory import Trajectory

if TYPE_CHECKING:
    from milr_core.baselines import best_of_n, plain
    from milr_core.janus import Janus, Memory, Workspace, free_bytes, load_model, memory_needed
    from milr_core.search import advance, reason, start
    from milr_core.strategy import Proposal, Strategy
    from milr_core.together import reason_together
else:  # these need torch
    __getattr__ = later(
        __name__,
        {
            "baselines": ("best_of_n", "plain"),
            "janus": ("Janus", "Memory", "Workspace", "free_bytes", "load_model", "memory_needed"),
            "search": ("advance", "reason", "start"),
            "strategy": ("Proposal", "Strategy"),
            "together": ("reason_together",),
        },
    )

__version__ = "0.3.0"

__all__ = [
    "MODELS",
    "Cost",
    "Critic",
    "CriticError",
    "InputError",
    "Janus",
    "Loading",
    "Memory",
    "Mixture",
    "ModelInfo",
    "Proposal",
    "Score",
    "SearchControl",
    "SearchSettings",
    "State",
    "Step",
    "Strategy",
    "Trajectory",
    "Workspace",
    "advance",
    "best_of_n",
    "free_bytes",
    "load_critic",
    "load_model",
    "memory_needed",
    "plain",
    "preset",
    "reason",
    "reason_together",
    "start",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
