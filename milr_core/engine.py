"""Where a search is computed: an engine makes single steps, of a job and of the state before, wherever it is.

What goes in and comes out can be pickled: a `Job`, a `State`. The loop over an engine's steps is `run`, here and
nowhere else; whoever reaches a model in another process, or on another machine, gives it a `step` of its own.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import torch

from milr_core.baselines import BestOfN
from milr_core.by_hand import ByHand
from milr_core.control import SearchControl, drive
from milr_core.critics import Critic, critic_names, is_remote, load_critic, made_of
from milr_core.critics import options_for as options_by_critic
from milr_core.diagnostics import inspected
from milr_core.errors import InputError
from milr_core.forming import Drawing
from milr_core.janus import Janus, Workspace
from milr_core.rollout import Jury
from milr_core.search import STRATEGIES, step
from milr_core.settings import SearchSettings
from milr_core.state import BEST_OF_N, SEARCH, State, Step
from milr_core.strategy import Strategy


class Options(dict[str, str]):
    """A visitor's own options of critics that ask a service: `key`, `base_url`, `judge`. Never shown."""

    def __hash__(self) -> int:  # of this object: two visitors' options are two, whatever is in them
        return id(self)

    def __repr__(self) -> str:
        return "Options(…)"


@dataclass(frozen=True)
class Job:
    """What to search for. critic, observers: names or mixtures. method: "search" or "best-of-n", which draws as many
    images as a search with the same settings does at most. by_hand: a position of the plan, and the word that it is to
    become in the next step ("": the next likeliest).
    """

    prompt: str
    settings: SearchSettings
    critic: str
    observers: tuple[str, ...] = ()
    options: Options = field(default_factory=Options)
    method: str = SEARCH
    by_hand: tuple[int, str] | None = None

    @property
    def strategy(self) -> Strategy:
        """What decides what is drawn next, and whether anything is."""
        if self.by_hand:
            return ByHand(*self.by_hand)
        if self.method == BEST_OF_N:
            return BestOfN(self.settings.steps + 1)
        return STRATEGIES[self.settings.text_update]

    def under(self, control: SearchControl) -> "Job":
        """The job under the settings that are in force now."""
        return replace(self, settings=control.in_force(self.settings))


class Engine(Protocol):
    """Computes searches for one model, one step at a time."""

    def step(self, job: Job, state: State | None, control: SearchControl) -> State | None:
        """The state after `state`, or step 0; None where the job has no step left.

        `control` acts from another thread: a stop after the token it is at, live settings from the next step. States
        come with their tensors in main memory and their tokens' probabilities.

        Raises:
            Stopped: the control said so. InputError, CriticError: as `milr_core.reason`.
        """

    def leave(self, control: SearchControl) -> None:
        """No step is asked for with this control any more: what was kept for the next one is let go."""


def run(engine: Engine, job: Job, control: SearchControl, state: State | None = None) -> Iterator[Step]:
    """The steps of a job after `state`, until its end or a stop. Raises as `Engine.step` does."""
    try:
        yield from drive(lambda before: engine.step(job, before, control), state)
    finally:
        engine.leave(control)


def singles(name: str | None) -> list[str]:
    """The critics in a name or a mixture; none while it cannot be read."""
    try:
        return critic_names(name or "")
    except InputError:
        return []


def options_for(name: str, options: Mapping[str, str]) -> dict[str, Any]:
    """A visitor's options as `load_critic` takes them: by critic for a mixture, none where nobody asks a service."""
    asking = [single for single in singles(name) if is_remote(single)]
    return options_by_critic(name, dict.fromkeys(asking, options)) if options and asking else {}


class Judges:
    """Critics by name, loaded once for everybody; those made with a visitor's options only as long as these live.

    What is kept is single critics, as many as there are names of them; a mixture is made of these when it is asked for,
    so no weights are there twice however strangers may weigh them.
    """

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
        if name in self.shared and not options_for(name, options or {}):
            return self.shared[name]
        return made_of(name, lambda single: self._single(single, options))

    def _single(self, name: str, options: Options | None) -> Critic:
        theirs = options if options and is_remote(name) else None
        with self._lock:
            there = self.shared if theirs is None else self._own.setdefault(theirs, {})
            if name not in there:
                there[name] = load_critic(name, model=self.model, **(theirs or {}))
            return there[name]

    def forked(self) -> None:
        """Call a function in a forked process: whoever held the lock is not there to give it back."""
        self._lock = threading.Lock()

    def of(self, job: Job) -> tuple[Critic, Sequence[Critic]]:
        """The critic and the observers."""
        critic, *observers = [self.critic(name, job.options) for name in (job.critic, *job.observers)]
        return critic, observers


class LocalEngine:
    """Searches in this process, on one model."""

    def __init__(self, model: Janus):
        self.model = model
        self.judges = Judges(model)
        self.threads = torch.get_num_threads()
        self._under_way: WeakKeyDictionary[SearchControl, tuple[Jury, Workspace]] = WeakKeyDictionary()

    def check(self, job: Job) -> Job:
        """The job with its prompt stripped and its settings resolved; before anyone waits for it.

        Raises:
            InputError, CriticError: it cannot be done; says what to do.
        """
        prompt, settings = self.model.check_prompt(job.prompt), job.settings.resolve(self.model.recommended)
        Jury(*self.judges.of(job), prompt)
        return replace(job, prompt=prompt, settings=settings)

    def step(self, job: Job, state: State | None, control: SearchControl) -> State | None:
        """Make the step in this process.

        What one control's steps have in common, prompts filled in and budgets, is kept with it.
        """
        torch.set_num_threads(self.threads)  # they are a thread's own, and each step may be asked for by another
        if control not in self._under_way:
            self._under_way[control] = Jury(*self.judges.of(job), job.prompt), Workspace(self.model)
        jury, workspace = self._under_way[control]
        workspace.on_row = Drawing(self.model, state, control.look).row if control.look else None
        strategy = job.under(control).strategy
        made = step(self.model, jury, job.prompt, job.settings, control, workspace, strategy, state)
        return made and inspected(self.model, made).to("cpu")

    def leave(self, control: SearchControl) -> None:
        self._under_way.pop(control, None)
