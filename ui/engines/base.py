"""Where a search is computed: the page's handlers know an `Engine`, and not whether it is in this process.

The loop, and what goes in and comes out, are those of `milr_core.engine`: a `Job`, a `State`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from milr_core import CriticError, InputError
from milr_core.critics import is_remote
from milr_core.engine import Engine as StepEngine
from milr_core.engine import Job, singles
from milr_core.record import MadeBy

if TYPE_CHECKING:
    from milr_core import Janus

SMALL = 200_000_000
"""Bytes of weights up to which a model is small."""


@dataclass(frozen=True)
class ModelFacts:
    """What the page shows and checks of a model. recommended, can_draw: as of `Janus`. seconds_a_step: where it was
    tried out.

    Before it is loaded `weights_hash`, `device` and `dtype` are empty. reader: who reads prompts until it does.
    """

    name: str
    weights_hash: str
    recommended: Mapping[str, Any]
    can_draw: str
    device: str
    dtype: str
    weights_bytes: int
    reader: str | None = None
    seconds_a_step: float | None = None

    @classmethod
    def of(cls, model: "Janus") -> "ModelFacts":
        size = sum(p.numel() * p.element_size() for p in model.hf.parameters())
        dtype = str(model.dtype).removeprefix("torch.")
        return cls(model.name, model.weights_hash, model.recommended, model.can_draw, model.device.type, dtype, size)

    @property
    def made_by(self) -> MadeBy:
        """What a run keeps of the model that made it."""
        return MadeBy(id=self.name, weights_hash=self.weights_hash)


class EngineError(RuntimeError):
    """An engine could not go on: no machine, no quota. The message says what to do; the steps so far stay."""


TOLD = (InputError, CriticError, EngineError)
"""Errors whose message is written for the visitor."""


class Engine(StepEngine, Protocol):
    """Computes searches for one model, `at_once` of them at the same time; `milr_core.engine.run` is the loop over it.
    None at once: its model is still being loaded.

    An engine that cannot be reached while it computes says in its own words what of the control acts later; its `step`
    raises EngineError as well.
    """

    facts: ModelFacts
    at_once: int

    def cost(self, steps: int) -> str:
        """What a search of so many steps takes besides time, in a sentence for the visitor; empty for nothing."""
        ...

    def check(self, job: Job) -> Job:
        """The job with its prompt stripped and its settings resolved; before anyone waits for it.

        Raises:
            InputError, CriticError, EngineError: it cannot be done; says what to do.
        """
        ...


def paid(names: Sequence[str]) -> int:
    """How many of these critics, or of those mixed in them, ask a judge over the network at every step."""
    return sum(is_remote(single) for name in names for single in singles(name))
