"""One rollout: a text, the image drawn from it, its score, and what all that took."""

import time
from collections.abc import Collection, Sequence

import torch
from PIL import Image
from torch import Tensor

from milr_core.critics.base import NOTHING, Critic, Score
from milr_core.errors import CriticError, InputError, Stopped
from milr_core.janus import Janus, Workspace
from milr_core.janus.decode import Poll
from milr_core.settings import SearchSettings
from milr_core.state import Cost, Drawn, State
from milr_core.strategy import fingerprint

TRIES = 20
"""Texts that are sampled at most until one is new."""


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
    for name, part in score.parts.items():
        if not 0 <= part <= 1:  # NaN is not
            raise CriticError(
                f"The critic '{critic.name}' gave the part '{name}' the value {part}; values lie in [0, 1]."
            )
    return score


def check_judges(critic: Critic, observers: Sequence[Critic], prompt: str) -> None:
    """Raise InputError unless the critic and every observer can judge images of the prompt."""
    names = [observer.name for observer in observers]
    if len(set(names)) < len(names):
        raise InputError(f"An observer is attached once; got {', '.join(names)}.")
    for judging in (critic, *observers):
        judging.check_prompt(prompt)


class Jury:
    """The critic and the observers of one run."""

    def __init__(self, critic: Critic, observers: Sequence[Critic], prompt: str):
        """Raises InputError unless all of them can judge images of the prompt."""
        check_judges(critic, observers, prompt)
        self._given, self._ready = (critic, *observers), None

    def ready(self, poll: Poll, state: State | None) -> tuple[Critic, Sequence[Critic]]:
        """Both, loaded, with what the run has spent before `state`: what cannot be loaded fails before a drawing.

        Raises:
            CriticError: weights are missing or wrong.
        """
        if self._ready is None:
            judging = [one.for_run(poll, state.spent if state else NOTHING) for one in self._given]
            for one in judging:
                one.load()
            self._ready = judging[0], judging[1:]
        return self._ready


class Rollout:
    """What a step asks of the model and of the critics; its seconds and tokens are counted as it is used."""

    def __init__(
        self, model: Janus, critic: Critic, observers: Sequence[Critic], poll: Poll, workspace: Workspace | None
    ):
        self.model, self.critic, self.observers, self.poll = model, critic, observers, poll
        self.workspace = workspace or Workspace(model)
        self.clock, self.decoded = Clock(model), 0

    def text(
        self, prompt: str, given: Tensor, uniform: Tensor | None = None, temperature: float = 1.0
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """A text that begins with `given`: tokens (M,), hidden (M, D). The rest is greedy, or sampled by `uniform`."""
        tokens, hidden = self.workspace.text(prompt, given, self.poll, uniform, temperature)
        self.decoded += len(tokens)
        return tokens, hidden

    def sampled_text(
        self, prompt: str, given: Tensor, temperature: float, seen: Collection[int], rng: torch.Generator
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """A text that begins with `given`, the rest sampled, until one has a fingerprint that was not `seen`."""
        for _ in range(TRIES):
            uniform = torch.rand(self.model.max_text_tokens, generator=rng).to(self.model.device)
            text = self.text(prompt, given, uniform, temperature)
            if fingerprint(text[0].tolist()) not in seen:
                break
        return text

    def draw(
        self, prompt: str, text: tuple[Tensor, Tensor], uniform: Tensor, forced: Tensor, settings: SearchSettings
    ) -> Drawn:
        """The image of a text, its pixels, and their score. uniform, forced: (1, N), as of `decode_images`."""
        model, clock, (text_tokens, text_hidden) = self.model, self.clock, text
        words = model.text_of(text_tokens)
        clock.lap("text_seconds")
        tokens, hidden = self.workspace.images(prompt, words, uniform, forced, settings, self.poll)
        clock.lap("image_seconds")
        (image,) = model.images_of(tokens)
        clock.lap("pixels_seconds")
        score = judge(self.critic, image, prompt)
        clock.lap("critic_seconds")
        observed = {observer.name: judge(observer, image, prompt) for observer in self.observers}
        clock.lap("observer_seconds")
        usage = sum((other.usage for other in observed.values()), score.usage)
        cost = Cost(1, self.decoded, model.num_image_tokens, 1, **clock.parts, **usage.as_cost())
        return Drawn(
            text=words,
            text_tokens=text_tokens.tolist(),
            token_strings=model.token_strings(text_tokens),
            text_hidden=text_hidden,
            image_tokens=tokens[0].tolist(),
            image_hidden=hidden[0],
            image=image,
            score=score,
            observed=observed,
            cost=cost,
        )
