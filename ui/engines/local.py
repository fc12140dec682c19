"""Searches in this process, with critics that are loaded once for everybody."""

from milr_core import Janus
from milr_core import local_engine as core
from ui.engines.base import ModelFacts


class LocalEngine(core.LocalEngine):
    """The engine of `milr_core`, with what the page shows of its model."""

    at_once = 1

    def __init__(self, model: Janus):
        super().__init__(model)
        self.facts = ModelFacts.of(model)

    def cost(self, steps: int) -> str:
        return ""
