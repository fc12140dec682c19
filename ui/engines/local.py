"""Searches in this process, with critics that are loaded once for everybody."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from weakref import WeakKeyDictionary

import torch

from milr_core import Critic, Janus, SearchControl, State, Step, best_of_n, load_critic, reason
from milr_core.diagnostics import inspected
from milr_core.rollout import check_judges
from ui.engines.base import Job, ModelFacts, Options, options_for


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
