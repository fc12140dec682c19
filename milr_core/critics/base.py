"""What a critic is: images and their prompt in, scores out. And the weighted mixture of any of them."""

import copy
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError
from PIL import Image

from milr_core.errors import CriticError, InputError

if TYPE_CHECKING:
    from milr_core.critics.pretrained import Pretrained

UNLOADED, LOADING, READY, FAILED = "unloaded", "loading", "ready", "failed"
"""Load states of a critic and of each of its models."""


WEIGHT_FILES = (
    "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json",
)  # fmt: skip


@dataclass(frozen=True)
class Usage:
    """What remote judges were asked: requests, tokens, and dollars where the price is known. Sums."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    dollars: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(**{name: value + getattr(other, name) for name, value in asdict(self).items()})

    def as_cost(self) -> dict[str, float]:
        """As `Cost` names it."""
        return {f"judge_{name}": value for name, value in asdict(self).items()}


NOTHING = Usage()


@dataclass(frozen=True)
class Score:
    """value: in [0, 1]. parts: named figures in [0, 1]. reason: in words. raw: whatever was measured, JSON-able.
    usage: what it took of remote judges.

    Raises:
        CriticError: at construction, for a value that is no number in [0, 1].
    """

    value: float
    parts: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    raw: dict[str, Any] = field(default_factory=dict)
    usage: Usage = NOTHING

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and 0 <= self.value <= 1):
            raise CriticError(f"A critic gave the value {self.value}; values lie in [0, 1].")


@dataclass(frozen=True)
class Weights:
    """A checkpoint that a critic needs. kind: its class in transformers. gigabytes: of memory, as it is run."""

    id: str
    kind: str
    role: str
    gigabytes: float
    licence: str
    files: tuple[str, ...] = WEIGHT_FILES

    @property
    def present(self) -> bool:
        """Whether they are on this machine."""
        return present(self.id, self.files)


def present(source: str, files: Sequence[str] = WEIGHT_FILES) -> bool:
    """Whether one of the files is there: in a folder, or in the hub's cache of an id."""
    if Path(source).is_dir():
        return any((Path(source) / name).is_file() for name in files)
    try:
        return any(isinstance(try_to_load_from_cache(source, name), str) for name in files)
    except HFValidationError:  # a path that is not there
        return False


@dataclass(frozen=True)
class About:
    """What a critic needs, before one is made. needs: in words, beside weights.

    options: of `load_critic`, with what they mean. remote: asks a judge over the network.
    """

    weights: tuple[Weights, ...] = ()
    needs: str = ""
    options: dict[str, str] = field(default_factory=dict)
    licence: str = "Apache-2.0"
    remote: bool = False

    @property
    def present(self) -> bool:
        """Whether all is there that a critic with default options needs: weights, and a key or an endpoint."""
        reachable = not self.remote or any(os.environ.get(name) for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"))
        return reachable and all(w.present for w in self.weights)

    @property
    def gigabytes(self) -> float:
        return sum(w.gigabytes for w in self.weights)


class Critic(ABC):
    """Judges images against their prompt. Equal inputs give equal scores; a failure raises, it never scores.

    about: what the class needs. models: the checkpoints that an instance runs, loaded when first needed.
    """

    name: str
    about: ClassVar[About] = About()

    @property
    def models(self) -> Sequence["Pretrained"]:
        return ()

    @property
    def state(self) -> str:
        """`failed` or `loading` if any of its models is, `ready` if all are, otherwise `unloaded`."""
        states = [model.state for model in self.models]
        for said in (FAILED, LOADING, UNLOADED):
            if said in states:
                return said
        return READY

    def load(self) -> None:
        """Load what is not loaded yet. `score` does so by itself; a search asks first, before it draws anything.

        Raises:
            CriticError: weights are missing or wrong; says which and what to do.
        """
        for model in self.models:
            model.load()

    def unload(self) -> None:
        """Give the memory back; the next `score` loads again."""
        for model in self.models:
            model.unload()

    def for_run(self, poll: Callable[[], None], spent: Usage = NOTHING) -> "Critic":
        """This critic for one run: with a budget of its own, less what the run has spent before; asks `poll`, which may
        raise, while it waits.
        """
        return self

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
            mixed.append(Score(min(1.0, value), parts, " ".join(reasons), raw, usage))
        return mixed
