"""Models by name: which there are, what they need, and how they come into memory."""

from milr_core.models.known import ALIASES, MODELS, ModelInfo
from milr_core.models.load import load_model
from milr_core.models.memory import Memory, memory_needed
from milr_core.models.progress import Loading, Progress

__all__ = ["ALIASES", "MODELS", "Loading", "Memory", "ModelInfo", "Progress", "load_model", "memory_needed"]
