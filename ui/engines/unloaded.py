"""Stands for an engine whose model is not loaded: the page opens before it is, and knows what its folder says of it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from milr_core import SearchControl, State
from milr_core.engine import Job
from milr_core.janus import ALIASES
from milr_core.janus.catalog import local_folder
from milr_core.janus.description import description_of
from milr_core.janus.reading import reader_named, typed
from ui.engines.base import EngineError, ModelFacts


def announced(name: str) -> ModelFacts:
    """What is known of a model before it is loaded: of a folder what its files say, of any other its name.

    Raises:
        InputError: there is no such model, or its milr.json cannot be used.
    """
    folder = local_folder(ALIASES.get(name, name))
    if folder is None:
        return ModelFacts(ALIASES.get(name, name), "", {}, "", "", "", 0)
    described = description_of(folder)
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    recommended = _guidance(folder) | described.recommended
    return ModelFacts(folder.resolve().name, "", recommended, described.can_draw, "", "", size, described.reader)


def _guidance(folder: Path) -> dict[str, Any]:
    """The guidance weight that a checkpoint draws with, where its files say one; what is wrong with them, loading
    them says."""
    try:
        scale = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))["guidance_scale"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {"guidance": scale} if isinstance(scale, int | float) and scale else {}


class Unloaded:
    """An `Engine` that computes nothing. Searches wait in the line until another takes its place; where the model could
    not be loaded, `problem` says why, and so does every search.
    """

    def __init__(self, facts: ModelFacts, problem: str = ""):
        self.facts, self.problem = facts, problem
        # While it may still come nobody's turn begins; where it does not come, each is told so at once.
        self.at_once = 1 if problem else 0

    def cost(self, steps: int) -> str:
        return ""

    def check(self, job: Job) -> Job:
        """Check what needs no model; the engine that comes checks the rest.

        Raises:
            InputError: the prompt cannot be drawn. EngineError: the model could not be loaded.
        """
        self._fail()
        prompt = typed(job.prompt)
        reader_named(self.facts.reader)(prompt)
        return replace(job, prompt=prompt, settings=job.settings.resolve(self.facts.recommended))

    def step(self, job: Job, state: State | None, control: SearchControl) -> State | None:
        self._fail()
        raise EngineError("The model is still being loaded: try again in a moment.")

    def leave(self, control: SearchControl) -> None:
        """Nothing is kept from one step to the next."""

    def _fail(self) -> None:
        if self.problem:
            raise EngineError(self.problem)
