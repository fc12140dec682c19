"""Where a search is computed: the page's handlers know an `Engine`, and not whether it is in this process.

What goes in and comes out can be pickled: a `Job`, a `State`; and `Step`s whose tensors are in main memory and whose
tokens have their probabilities.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import torch

from milr_core import (
    Critic,
    CriticError,
    InputError,
    Janus,
    SearchControl,
    SearchSettings,
    State,
    Step,
    best_of_n,
    load_critic,
    reason,
)
from milr_core.critics import critic_names, is_remote
from milr_core.critics import options_for as options_by_critic
from milr_core.diagnostics import inspected
from milr_core.rollout import check_judges


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


class Judges:
    """Critics by name, loaded once for everybody; those made with a visitor's options only as long as these live."""

    def __init__(self, model: Janus):
        self.model = model
        self.shared: dict[str, Critic] = {}
        self._own: WeakKeyDictionary[Options, dict[str, Critic]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def critic(self, name: str, options: Options | None = None) -> Critic:
        """A critic or a mixture; the options go to those that ask a service over the network.

        Raises:
            InputError: there is no such critic, or it lacks something.
        """
        own = options_for(name, options or {})
        if not own:
            return self._kept(self.shared, name, lambda: load_critic(name, model=self.model))
        return self._kept(self._own.setdefault(options, {}), name, lambda: load_critic(name, model=self.model, **own))

    def _kept(self, there: dict[str, Critic], name: str, load: Callable[[], Critic]) -> Critic:
        with self._lock:
            if name not in there:
                there[name] = load()
            return there[name]

    def forked(self) -> None:
        """In a forked process: whoever held the lock is not there to give it back."""
        self._lock = threading.Lock()

    def of(self, job: Job) -> tuple[Critic, list[Critic]]:
        """The critic and the observers."""
        made = [self.critic(name, job.options) for name in (job.critic, *job.observers)]
        return made[0], made[1:]


class LocalEngine:
    """Searches in this process."""

    at_once = 1

    def __init__(self, model: Janus):
        self.model = model
        self.facts = ModelFacts.of(model)
        self.judges = Judges(model)
        self.threads = torch.get_num_threads()

    def cost(self, steps: int) -> str:
        return ""

    def check(self, job: Job) -> Job:
        settings = job.settings.resolve(self.model.recommended)
        critic, observers = self.judges.of(job)
        prompt = self.model.check_prompt(job.prompt)
        check_judges(critic, observers, prompt)
        return replace(job, prompt=prompt, settings=settings)

    def reason(self, job: Job, control: SearchControl, state: State | None = None) -> Iterator[Step]:
        critic, observers = self.judges.of(job)
        return self._seen(reason(self.model, critic, job.prompt, job.settings, control, state, observers))

    def best_of_n(self, job: Job, n: int, control: SearchControl, state: State | None = None) -> Iterator[Step]:
        critic, observers = self.judges.of(job)
        return self._seen(
            best_of_n(
                self.model, critic, job.prompt, n, job.settings, control=control, observers=observers, state=state
            )
        )

    def _seen(self, steps: Iterator[Step]) -> Iterator[Step]:
        """The steps with their tokens' probabilities, and with nothing left on a device."""
        while True:
            torch.set_num_threads(self.threads)  # they are a thread's own, and each step may be asked for by another
            step = next(steps, None)
            if step is None:
                return
            yield inspected(self.model, step.state).to("cpu").step
