"""Searches in this process, with critics that are loaded once for everybody. Imports torch and transformers."""

from dataclasses import replace

import torch
from transformers.utils import logging as transformers_logging

from milr_core import (
    CriticError,
    InputError,
    Janus,
    Loading,
    SearchSettings,
    load_model,
    local_engine,
    memory_needed,
    start,
)
from milr_core.janus import Progress, default_device
from ui.engines.base import SMALL, ModelFacts

THREADS = torch.get_num_threads()
"""As this process was started."""


class LocalEngine(local_engine.LocalEngine):
    """The engine of `milr_core`, with what the page shows of its model."""

    at_once = 1

    def __init__(self, model: Janus):
        super().__init__(model)
        self.facts = ModelFacts.of(model)

    def cost(self, steps: int) -> str:
        return ""


def make_local(name: str, progress: Progress, device: str | None = None) -> LocalEngine:
    """An engine in this process; device: default the best one.

    Raises:
        InputError: the model cannot be loaded.
    """
    transformers_logging.disable_progress_bar()  # who waits sees the progress on the page
    device = device or default_device()
    small = device == "cpu" and memory_needed(name, "cpu").weights <= SMALL
    # A second thread gains a small model nothing, and where the page takes its core now and then the first waits.
    torch.set_num_threads(1 if small else THREADS)
    model = load_model(name, device, progress=progress)
    progress(Loading("load", None, f"Reading the weights of {model.name} once more for their hash"))
    return LocalEngine(model)


def tried(engine: LocalEngine, critic: str, prompt: str) -> LocalEngine:
    """The engine of a small model, knowing how long a step takes here. The first of two steps warms it up."""
    if engine.facts.weights_bytes > SMALL:
        return engine
    try:
        judging = engine.judges.critic(critic)
        states = [start(engine.model, judging, prompt, SearchSettings()) for _ in range(2)]
    except (InputError, CriticError):  # then it is not known, and whoever asks for it is told why
        return engine
    engine.facts = replace(engine.facts, seconds_a_step=states[-1].step.cost.seconds)
    return engine
