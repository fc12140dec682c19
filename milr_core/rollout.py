"""One rollout: reason about a prompt, draw, score."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from milr_core.critics.base import Critic, Score, Usage
from milr_core.errors import CriticError, InputError, Stopped
from milr_core.janus import Janus, Workspace
from milr_core.janus.decode import FREE, Poll
from milr_core.settings import SearchSettings
from milr_core.state import State
from milr_core.steps import Cost


class Clock:
    """Seconds by part, for `Cost`."""

    def __init__(self, model: Janus):
        self._cuda = model.device.type == "cuda"
        self.parts: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, part: str) -> None:
        if self._cuda:
            torch.cuda.synchronize()
        now = time.perf_counter()
        self.parts[part] = self.parts.get(part, 0.0) + now - self._last
        self._last = now


def judge(critic: Critic, image: Image.Image, prompt: str) -> Score:
    """One image's score.

    Raises:
        CriticError: whatever goes wrong in a critic; a failure is never a score.
    """
    try:
        (score,) = critic.score([image], prompt)
    except (CriticError, InputError, Stopped):
        raise
    except Exception as error:
        raise CriticError(f"The critic '{critic.name}' failed: {type(error).__name__}: {error}") from error
    return score


def observe(observers: Sequence[Critic], image: Image.Image, prompt: str) -> dict[str, Score]:
    """What critics that only watch say of an image, by name. One that fails raises, as the critic does."""
    return {observer.name: judge(observer, image, prompt) for observer in observers}


def ready(critic: Critic, observers: Sequence[Critic], poll: Poll, spent: Usage) -> tuple[Critic, list[Critic]]:
    """Both for a run that has `spent` so far, loaded: what cannot be loaded fails before anything is drawn.

    Raises:
        CriticError: weights are missing or wrong.
    """
    judging = [one.for_run(poll, spent) for one in (critic, *observers)]
    for one in judging:
        one.load()
    return judging[0], judging[1:]


def usage_of(score: Score, observed: dict[str, Score]) -> Usage:
    """What remote judges took for one image."""
    return sum((other.usage for other in observed.values()), score.usage)


def check_judges(critic: Critic, observers: Sequence[Critic], prompt: str) -> None:
    """Raise InputError unless the critic and every observer can judge images of the prompt."""
    names = [observer.name for observer in observers]
    if len(set(names)) < len(names):
        raise InputError(f"An observer is attached once; got {', '.join(names)}.")
    for judging in (critic, *observers):
        judging.check_prompt(prompt)


@dataclass
class Rollout:
    """What `start` and `advance` have in common: a text is given; draw it, judge it, and keep the figures."""

    model: Janus
    critic: Critic
    prompt: str
    settings: SearchSettings
    generator: torch.Generator
    poll: Poll
    workspace: Workspace
    observers: Sequence[Critic] = ()

    def __post_init__(self) -> None:
        self.clock = Clock(self.model)
        shape = (1, self.model.num_image_tokens)
        self.uniform = torch.rand(shape, generator=self.generator).to(self.model.device)
        self.forced = torch.full(shape, FREE, device=self.model.device)

    def finish(
        self, index: int, text_tokens: Tensor, rollout_text: Tensor, decoded: int, before: State | None, **more
    ) -> State:
        """Draw and judge; `decoded` text tokens were paid for, `before` is the step that this one follows."""
        model, clock = self.model, self.clock
        text = model.text_of(text_tokens)
        clock.lap("text_seconds")
        image_tokens, rollout_image = self.workspace.images(
            self.prompt, text, self.uniform, self.forced, self.settings, self.poll
        )
        clock.lap("image_seconds")
        (image,) = model.images_of(image_tokens)
        clock.lap("pixels_seconds")
        score = judge(self.critic, image, self.prompt)
        clock.lap("critic_seconds")
        observed = observe(self.observers, image, self.prompt)
        clock.lap("observer_seconds")
        usage = usage_of(score, observed)
        return State(
            prompt=self.prompt,
            index=index,
            settings=self.settings,
            text=text,
            text_tokens=text_tokens.tolist(),
            token_strings=model.token_strings(text_tokens),
            image_tokens=image_tokens[0].tolist(),
            image=image,
            score=score,
            values=(*(before.values if before else ()), score.value),
            rollout_text=rollout_text,
            rollout_image=rollout_image[0],
            random=self.generator.get_state(),
            cost=Cost(1, decoded, model.num_image_tokens, 1, **clock.parts, **usage.as_cost()),
            observed=observed,
            spent=usage + before.spent if before else usage,
            **more,
        )
