"""`State`: all there is to a search after a step. Pickle it, move it, continue it elsewhere or under other settings."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from PIL import Image
from torch import Tensor

from milr_core.critics.base import NOTHING, Score, Usage
from milr_core.latents import Latents
from milr_core.settings import SearchSettings
from milr_core.steps import Cost, Probabilities, Step


@dataclass(frozen=True)
class Sample:
    """What REINFORCE needs of a rollout: the tokens decoded, and their score."""

    text_tokens: list[int]
    image_tokens: list[int]
    value: float


@dataclass(frozen=True)
class State:
    """A search after step `index`. Tensors may live on any device; `advance` moves what it needs.

    rollout_text: (M, D), rollout_image: (N, 2, D): what each token of this step's rollout could be decoded from.
    text_latents, image_latents: the optimised ones, z^k; None where the strategy has none.
    random: state of the run's generator after this step. values: the scores of steps 0 to `index`.
    observed: scores by critics that only watch; nothing that comes next depends on them. spent: on remote judges by
    steps 0 to `index`, which a run's budget goes on from.
    pending: rollouts of the current latents that no update has used yet, before this one (with a `batch`).
    anchor: the best state before this one, kept to go back to; None where this is the best.
    tried: positions of the best text whose latents were moved in vain (`text_update` "coordinate").
    """

    prompt: str
    index: int
    settings: SearchSettings
    text: str
    text_tokens: list[int]
    token_strings: list[str]
    image_tokens: list[int]
    image: Image.Image
    score: Score
    values: tuple[float, ...]
    rollout_text: Tensor
    rollout_image: Tensor
    text_latents: Latents | None
    image_latents: Latents | None
    random: Tensor
    cost: Cost
    gradient_norm: dict[str, float]
    update_norm: dict[str, float]
    observed: dict[str, Score] = field(default_factory=dict)
    spent: Usage = NOTHING
    probabilities: Probabilities | None = None
    pending: tuple[Sample, ...] = ()
    anchor: "State | None" = None
    tried: tuple[int, ...] = ()

    @property
    def sample(self) -> Sample:
        return Sample(self.text_tokens, self.image_tokens, self.score.value)

    @property
    def best(self) -> int:
        return max(range(len(self.values)), key=self.values.__getitem__)

    def finished(self, settings: SearchSettings) -> bool:
        """Algorithm 1 goes on while k <= K and r <= tau."""
        return self.index >= settings.steps or self.score.value > settings.threshold

    def to(self, device: str | torch.device) -> "State":
        """The same state with its tensors on a device; the generator's state stays on the CPU."""
        return replace(
            self,
            rollout_text=self.rollout_text.to(device),
            rollout_image=self.rollout_image.to(device),
            text_latents=self.text_latents and self.text_latents.to(device),
            image_latents=self.image_latents and self.image_latents.to(device),
            anchor=self.anchor and self.anchor.to(device),
        )

    @cached_property
    def step(self) -> Step:
        """What callers see of this state."""
        latents = self.text_latents if self.index else None
        optimised = [p for p in latents.positions.tolist() if p < len(self.text_tokens)] if latents else []
        return Step(
            index=self.index,
            text=self.text,
            image=self.image,
            score=self.score,
            best=self.best,
            settings=self.settings,
            cost=self.cost,
            text_tokens=self.text_tokens,
            token_strings=self.token_strings,
            text_prefix=len(optimised) if latents and latents.rule == "prefix" else 0,
            text_positions=optimised,
            image_tokens=self.image_tokens,
            image_positions=self.image_latents.positions.tolist() if self.image_latents and self.index else [],
            gradient_norm=self.gradient_norm,
            update_norm=self.update_norm,
            observed=self.observed,
            state=self,
            probabilities=self.probabilities,
        )
