"""What loading a model says of itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Loading:
    """One thing to tell people while a model is loaded.

    done: fraction of the stage, 0 to 1; None where it cannot be known. words: one line.
    """

    stage: Literal["download", "convert", "load", "ready"]
    done: float | None
    words: str


Progress = Callable[[Loading], None]


def silent(_: Loading) -> None:
    """The progress that nobody looks at."""
