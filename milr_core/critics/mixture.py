"""The weighted mean of critics."""

import copy
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from PIL import Image

from milr_core.critics.base import NOTHING, Critic, Score, Usage
from milr_core.errors import InputError

if TYPE_CHECKING:
    from milr_core.critics.pretrained import Pretrained  # it brings torch


class Mixture(Critic):
    """Weighted mean of critics; weights are normalised. Parts are theirs, prefixed by their name."""

    def __init__(self, weighted: Sequence[tuple[float, Critic]]):
        if not weighted or not all(math.isfinite(w) and w > 0 for w, _ in weighted):
            raise InputError(
                "A mixture has one critic or more, each with a positive weight, as in 0.7*oracle+0.3*self."
            )
        total = sum(w for w, _ in weighted)
        self.weighted = [(w / total, critic) for w, critic in weighted]
        self.name = "+".join(f"{w:g}*{critic.name}" for w, critic in weighted)

    @property
    def models(self) -> Sequence["Pretrained"]:
        return [model for _, critic in self.weighted for model in critic.models]

    def for_run(self, poll: Callable[[], None], spent: Usage = NOTHING) -> Critic:
        mine = copy.copy(self)
        mine.weighted = [(w, critic.for_run(poll, spent)) for w, critic in self.weighted]
        return mine

    def load(self) -> None:
        for _, critic in self.weighted:
            critic.load()

    def check_prompt(self, prompt: str) -> None:
        for _, critic in self.weighted:
            critic.check_prompt(prompt)

    def score(self, images: Sequence[Image.Image], prompt: str) -> list[Score]:
        columns = [critic.score(images, prompt) for _, critic in self.weighted]
        mixed = []
        for row in zip(*columns, strict=True):
            parts, reasons, raw = {}, [], {}
            for (_, critic), score in zip(self.weighted, row, strict=True):
                parts[critic.name] = score.value
                parts |= {f"{critic.name}: {name}": value for name, value in score.parts.items()}
                reasons.append(f"{critic.name}: {score.reason}")
                raw[critic.name] = score.raw
            value = sum(w * score.value for (w, _), score in zip(self.weighted, row, strict=True))
            usage = sum((score.usage for score in row), NOTHING)
            boxes = tuple(box for score in row for box in score.boxes)
            mixed.append(Score(min(1.0, value), parts, " ".join(reasons), raw, usage, boxes))
        return mixed
