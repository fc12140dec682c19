"""Where a search is computed: the page's handlers know an `Engine`, and not whether it is in this process.

What goes in and comes out can be pickled: a `Job`, a `State`; and `Step`s whose tensors are in main memory and whose
tokens have their probabilities.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from milr_core import CriticError, InputError, Janus, SearchControl, SearchSettings, State, Step
from milr_core.critics import critic_names, is_remote
from milr_core.critics import options_for as options_by_critic


@dataclass(frozen=True)
class ModelFacts:
    """What the page shows and checks of a loaded model. recommended, can_draw: as of `Janus`."""

    name: str
    weights_hash: str
    recommended: Mapping[str, Any]
    can_draw: str
    device: str
    dtype: str
    weights_bytes: int

    @classmethod
    def of(cls, model: Janus) -> "ModelFacts":
        size = sum(p.numel() * p.element_size() for p in model.hf.parameters())
        dtype = str(model.dtype).removeprefix("torch.")
        return cls(model.name, model.weights_hash, model.recommended, model.can_draw, model.device.type, dtype, size)

    @property
    def made_by(self) -> dict[str, str]:
        """What a run keeps of the model that made it."""
        return {"id": self.name, "weights_hash": self.weights_hash}


class Options(dict[str, str]):
    """A visitor's own options of critics that ask a service: `key`, `base_url`, `judge`. Never shown."""

    __hash__ = object.__hash__  # of this object: two visitors' options are two, whatever is in them

    def __repr__(self) -> str:
        return "Options(…)"


@dataclass(frozen=True)
class Job:
    """What to search for. critic, observers: names or mixtures."""

    prompt: str
    settings: SearchSettings
    critic: str
    observers: tuple[str, ...] = ()
    options: Options = field(default_factory=Options)


class EngineError(RuntimeError):
    """An engine could not go on: no machine, no quota. The message says what to do; the steps so far stay."""


TOLD = (InputError, CriticError, EngineError)
"""Errors whose message is written for the visitor."""


class Engine(Protocol):
    """Computes searches for one model, `at_once` of them at the same time.

    Steps that were yielded stay valid whatever comes after. `control` works from another thread as in `milr_core`: a
    stop acts after the token, live settings from the next step; an engine that cannot be reached while it computes
    says in its own words what acts later. A generator that is closed ends its search.
    """

    facts: ModelFacts
    at_once: int

    def cost(self, steps: int) -> str:
        """What a search of so many steps takes besides time, in a sentence for the visitor; empty for nothing."""

    def check(self, job: Job) -> Job:
        """The job with its prompt stripped and its settings resolved; before anyone waits for it.

        Raises:
            InputError, CriticError, EngineError: it cannot be done; says what to do.
        """

    def reason(self, job: Job, control: SearchControl, state: State | None = None) -> Iterator[Step]:
        """As `milr_core.reason`. Raises as that does, and EngineError."""

    def best_of_n(self, job: Job, n: int, control: SearchControl, state: State | None = None) -> Iterator[Step]:
        """As `milr_core.best_of_n`. Raises as that does, and EngineError."""


def singles(name: str | None) -> list[str]:
    """The critics in a name or a mixture; none while it cannot be read."""
    try:
        return critic_names(name or "")
    except InputError:
        return []


def paid(names: Sequence[str]) -> int:
    """How many of these critics, or of those mixed in them, ask a judge over the network at every step."""
    return sum(is_remote(single) for name in names for single in singles(name))


def options_for(name: str, options: Mapping[str, str]) -> dict[str, Any]:
    """A visitor's options as `load_critic` takes them: by critic for a mixture, none where nobody asks a service."""
    asking = [single for single in singles(name) if is_remote(single)]
    return options_by_critic(name, dict.fromkeys(asking, options)) if options and asking else {}
