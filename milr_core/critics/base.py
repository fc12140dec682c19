"""What a critic is: images and their prompt in, scores out. And the weighted mixture of any of them."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from milr_core.errors import CriticError, InputError


@dataclass(frozen=True)
class Score:
    """value: in [0, 1]. parts: named figures in [0, 1]. reason: in words. raw: whatever was measured, JSON-able.

    Raises:
        CriticError: at construction, for a value that is no number in [0, 1].
    """

    value: float
    parts: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    raw: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and 0 <= self.value <= 1):
            raise CriticError(f"A critic gave the value {self.value}; values lie in [0, 1].")


class Critic(ABC):
    """Judges images against their prompt. Equal inputs give equal scores; a failure raises, it never scores."""

    name: str

    def check_prompt(self, prompt: str) -> None:
        """Raise InputError if this critic cannot judge images of the prompt, saying why. Called before a search."""
        return  # most critics take any prompt

    @abstractmethod
    def score(self, images: Sequence[Image.Image], prompt: str) -> list[Score]:
        """One score an image, in order.

        Raises:
            CriticError: the images could not be judged.
        """


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
            mixed.append(Score(min(1.0, value), parts, " ".join(reasons), raw))
        return mixed
