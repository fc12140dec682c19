"""One model in one process: takes a prompt and a seed, gives a record for each method. Equal jobs, equal records."""

import io
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

import torch
from PIL import Image
from transformers.utils import logging as transformers_logging

from bench.methods import Method, Runner
from bench.suites import Item
from milr_core import (
    Critic,
    CriticError,
    InputError,
    Score,
    SearchControl,
    SearchSettings,
    Step,
    Workspace,
    load_critic,
    load_model,
)
from milr_core.critics import critic_names, options_for
from milr_core.critics.base import plain_text
from milr_core.janus.decode import keep_going
from milr_core.janus.devices import default_device
from milr_core.state import Cost
from milr_core.together import Searching, taking_turns, together
from world.plans import plan_is_right
from world.prompts import PromptError, parse


@dataclass(frozen=True)
class Setup:
    """All that a worker needs to know; picklable. critic: judges the run, and guides where a method names no other.

    critic_options: what critics are made with, by their name. batch: prompts that a worker searches at once, decoded
    together; each costs memory for its caches, and sums are rounded otherwise than alone.
    """

    model: str
    critic: str
    observers: tuple[str, ...] = ()
    settings: SearchSettings = SearchSettings()
    device: str | None = None
    batch: int = 1
    critic_options: dict[str, dict[str, Any]] = field(default_factory=dict)

    def options_of(self, name: str, item: Item) -> dict[str, Any]:
        """What a critic is made with for an item; of a mixture, by the names of its parts."""
        told = {p: self.critic_options.get(p, {}) | item.critic_options.get(p, {}) for p in critic_names(name)}
        return options_for(name, told)


@dataclass(frozen=True)
class Job:
    """What is handed out: one prompt under one seed, and the methods still to do."""

    item: Item
    seed: int
    methods: tuple[Method, ...]


Key = tuple[str, int, str]
"""Of a result: the item's id, the seed, the method's name."""


@dataclass(frozen=True)
class Result:
    """One method's outcome. error: why there is none; then `record` holds the key alone. image: PNG bytes."""

    item: Item
    seed: int
    method: str
    record: dict[str, Any]
    image: bytes = b""
    error: str = ""

    @property
    def key(self) -> Key:
        return self.item.id, self.seed, self.method


def search_seed(item: Item, seed: int) -> int:
    """The search's own seed: of the prompt and the run's seed alone, so the same for all methods and any order."""
    return zlib.crc32(f"{item.id}/{item.prompt}/{seed}".encode())


def is_right(score: Score, threshold: float) -> bool:
    """The critic's own verdict where it gives one, otherwise whether the score passes the threshold."""
    verdict = score.raw.get("correct")
    return verdict if isinstance(verdict, bool) else score.value > threshold


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


class Worker:
    """Loads the model once. On a CPU it computes in one thread: results are then the same beside any other load."""

    def __init__(self, setup: Setup):
        device = setup.device or default_device()
        if torch.device(device).type == "cpu":
            torch.set_num_threads(1)
        transformers_logging.disable_progress_bar()
        transformers_logging.set_verbosity_error()
        self.setup = setup
        self.model = load_model(setup.model, device)
        self._critics: dict[str, tuple[dict[str, Any], Critic]] = {}
        self._making = threading.Lock()

    def critic(self, name: str, item: Item) -> Critic:
        """The critic for an item: one of a name is kept, for their weights can be large."""
        options = self.setup.options_of(name, item)
        with self._making:
            if name not in self._critics or self._critics[name][0] != options:
                self._critics[name] = options, load_critic(name, model=self.model, **options)
            return self._critics[name][1]

    def first_text(self, prompt: str) -> str:
        """The greedy reasoning text, without drawing."""
        nothing = torch.empty(0, dtype=torch.long, device=self.model.device)
        tokens, _ = Workspace(self.model).text(self.model.check_prompt(prompt), nothing, keep_going)
        return self.model.text_of(tokens)

    def run(self, job: Job) -> Iterator[Result]:
        """A result for each method of the job. A failure is a result with `error`, never a score."""
        yield from Desk(self, job).results()

    def run_together(self, jobs: Sequence[Job]) -> Iterator[Result]:
        """Run several jobs in one batch; the results are those of `run`."""
        if len(jobs) == 1:
            yield from self.run(jobs[0])
            return

        def searching(job: Job) -> Searching:
            return lambda workspace, control, turn: Desk(self, job, workspace, control, turn).results()

        for _, result in together(self.model, [searching(job) for job in jobs]):
            yield result


class Desk:
    """What one job is done with; beside others, on a workspace of a batch, its critics take turns with theirs."""

    def __init__(
        self, worker: Worker, job: Job, workspace: Workspace | None = None, control: SearchControl | None = None,
        turn: "threading.Lock | None" = None,
    ):  # fmt: skip
        self.worker, self.setup, self.job, self.turn = worker, worker.setup, job, turn
        self.runner = Runner(worker.model, self._critic, self._observers, workspace, control)

    def _critic(self, name: str) -> Critic:
        critic = self.worker.critic(name, self.job.item)
        return taking_turns([critic], self.turn)[0] if self.turn else critic

    def _observers(self, guide: str) -> Sequence[Critic]:
        names = dict.fromkeys((self.setup.critic, *self.setup.observers))
        return [self._critic(name) for name in names if name != guide]

    def results(self) -> Iterator[Result]:
        """One for each method."""
        item, seed = self.job.item, self.job.seed
        for method in self.job.methods:
            try:
                yield self._one(item, seed, method)
            except (CriticError, InputError) as error:
                yield Result(item, seed, method.name, {}, error=plain_text(str(error)))

    def _one(self, item: Item, seed: int, method: Method) -> Result:
        guide = method.guide or self.setup.critic
        base = replace(self.setup.settings, seed=search_seed(item, seed))
        steps = list(self.runner.steps(method, guide, item.prompt, base))
        self.runner.control.poll()  # a batch that broke off leaves half a search, which is no result
        answer = steps[steps[-1].best]
        record = self._record(item, seed, method, guide, steps)
        return Result(item, seed, method.name, record, png(answer.image))

    def _record(self, item: Item, seed: int, method: Method, guide: str, steps: list[Step]) -> dict[str, Any]:
        """JSON-able. All that differs between two runs of the same job is under `timing`.

        rewards: of the guide, a step. judged, right: value and verdict of the run's critic, a step. observed: the
        same of the held-out critics. rollouts, timing.at: images drawn and seconds taken up to and with each step; the
        observers' are nobody's cost.
        """
        threshold, judge = steps[0].settings.threshold, self.setup.critic

        def figures(name: str) -> dict[str, list]:
            key = self._critic(name).name
            scores = [step.score if name == guide else step.observed[key] for step in steps]
            return {"values": [s.value for s in scores], "right": [is_right(s, threshold) for s in scores]}

        cost = sum((step.cost for step in steps), Cost())
        seconds = {name: getattr(cost, f"{name}_seconds") for name in ("text", "image", "pixels", "critic", "update")}
        at = list(accumulate(step.cost.seconds - step.cost.observer_seconds for step in steps))
        judged = figures(judge)
        rollouts = [sum(step.cost.image_rollouts for step in steps[: i + 1]) for i in range(len(steps))]
        return {
            "item": item.id,
            "method": method.name,
            "seed": seed,
            "prompt": item.prompt,
            "category": item.category,
            "guide": guide,
            "judge": judge,
            "settings": steps[-1].settings.as_dict(),
            "first_text": steps[0].text,
            "text": steps[steps[-1].best].text,
            "best": steps[-1].best,
            "rewards": [step.reward for step in steps],
            "judged": judged["values"],
            "right": judged["right"],
            "observed": {name: figures(name) for name in self.setup.observers if name != judge},
            "rollouts": rollouts,
            "image_rollouts": cost.image_rollouts,
            "text_tokens": cost.text_tokens,
            "image_tokens": cost.image_tokens,
            "critic_calls": cost.critic_calls,
            "tags": tags(item, steps[0].text),
            "timing": {"seconds": sum(seconds.values()), **seconds, "at": at},
        }


def tags(item: Item, first_text: str) -> dict[str, bool]:
    """What is known of a prompt beside its category: in the embedded world, whether the plan at step 0 is right."""
    if not first_text or not {"include", "exclude"} <= item.metadata.keys():
        return {}
    try:
        return {"plan_right": plan_is_right(first_text, parse(item.prompt))}
    except PromptError:  # of another model, in words that the embedded world does not have
        return {}
