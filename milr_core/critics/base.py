"""What a critic is: images and their prompt in, scores out; and what is said of one before it is made."""

import math
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError
from PIL import Image

from milr_core.errors import CriticError

if TYPE_CHECKING:
    from milr_core.critics.pretrained import Pretrained  # it brings torch

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

    def as_cost(self) -> dict[str, Any]:
        """Return it under the names of `Cost`."""
        return {f"judge_{name}": value for name, value in asdict(self).items()}


NOTHING = Usage()

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")


def plain_text(text: str) -> str:
    """The text without control characters, which a terminal would obey, and without halves of characters (lone
    surrogates), which no file can hold; line breaks and tabs stay.
    """
    return _CONTROL.sub(" ", text)


FOUND, MISSED, IGNORED = "found", "missed", "ignored"
"""States of a box: what was asked for; what was asked for otherwise (another color, place or number); anything else."""


@dataclass(frozen=True)
class Box:
    """Something that a critic saw in an image, to be drawn on it.

    label: what it was taken for. x0, y0, x1, y1: left, top, right, bottom as shares of the image's sides, in [0, 1].
    state: FOUND, MISSED or IGNORED. words: of the prompt that it belongs to; empty where it belongs to none.
    """

    label: str
    x0: float
    y0: float
    x1: float
    y1: float
    state: str = FOUND
    words: str = ""


@dataclass(frozen=True)
class Score:
    """value: in [0, 1]. parts: named figures in [0, 1]. reason: in words. raw: whatever was measured, JSON-able.
    usage: what it took of remote judges. boxes: where in the image it saw what, from critics that look for things.

    Words that come from a judge, a file or a model lose their control characters here: they are printed later.

    Raises:
        CriticError: at construction, for a value that is no number in [0, 1].
    """

    value: float
    parts: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    raw: dict[str, Any] = field(default_factory=dict)
    usage: Usage = NOTHING
    boxes: tuple[Box, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", plain_text(self.reason))
        object.__setattr__(self, "parts", {plain_text(name): value for name, value in self.parts.items()})
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
