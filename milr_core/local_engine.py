"""The engine in this process: a model, critics that are loaded once for everybody, and one step at a time."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

import torch

from milr_core.baselines import BestOfN
from milr_core.by_hand import ByHand
from milr_core.control import SearchControl
from milr_core.critics import Critic, is_remote, load_critic, made_of
from milr_core.engine import Job, Options, options_for
from milr_core.forming import Drawing
from milr_core.janus import Janus, Workspace
from milr_core.probabilities import inspected
from milr_core.rollout import Jury
from milr_core.search import STRATEGIES, step
from milr_core.state import BEST_OF_N, State
from milr_core.strategy import Strategy


def strategy_of(job: Job) -> Strategy:
    """What decides what is drawn next for a job, and whether anything is."""
    if job.by_hand:
        return ByHand(*job.by_hand)
    if job.method == BEST_OF_N:
        return BestOfN(job.settings.steps + 1)
    return STRATEGIES[job.settings.text_update]


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
        strategy = strategy_of(job.under(control))
        made = step(self.model, jury, job.prompt, job.settings, control, workspace, strategy, state)
        return made and inspected(self.model, made).to("cpu")

    def leave(self, control: SearchControl) -> None:
        self._under_way.pop(control, None)
