"""What a search yields: a `Step`, and what it cost."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from PIL import Image

from milr_core.critics.base import Score, Usage
from milr_core.settings import SearchSettings

if TYPE_CHECKING:
    from milr_core.state import State


@dataclass(frozen=True)
class Cost:
    """Of one step. Tokens are counted once, however many rows decode them; seconds are wall time by part.
    judge_…: what remote judges were asked, by the critic and the observers; dollars where the price is known.
    """

    image_rollouts: int = 0
    text_tokens: int = 0
    image_tokens: int = 0
    critic_calls: int = 0
    text_seconds: float = 0.0
    image_seconds: float = 0.0
    pixels_seconds: float = 0.0
    critic_seconds: float = 0.0
    observer_seconds: float = 0.0
    judge_calls: int = 0
    judge_input_tokens: int = 0
    judge_output_tokens: int = 0
    judge_dollars: float = 0.0
    update_seconds: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def usage(self) -> Usage:
        """Of remote judges."""
        return Usage(self.judge_calls, self.judge_input_tokens, self.judge_output_tokens, self.judge_dollars)

    @property
    def seconds(self) -> float:
        return sum(getattr(self, f.name) for f in fields(self) if f.name.endswith("_seconds"))


@dataclass(frozen=True)
class Probabilities:
    """Of the tokens of one step; all in [0, 1].

    text: (M,), image: (N,), of the token that was decoded, under what it was decoded from. …_own: the same under the
    model's own output there; another one only where the latent was optimised. …_entropy: of the distribution that it
    was decoded from, as a share of the largest there is.
    """

    text: list[float]
    text_own: list[float]
    text_entropy: list[float]
    image: list[float]
    image_own: list[float]
    image_entropy: list[float]


@dataclass(frozen=True)
class Step:
    """One step of a search; unpacks as `text, image, reward`.

    index: 0 is the model's own attempt. best: index of the best step so far, the first one on a tie.
    text_tokens: ids, the end token last if it was reached; those at `text_positions` were decoded from optimised
    latents: the first `text_prefix`, unless other positions than the prefix were asked for (then that is 0).
    image_tokens: ids row by row; `image_positions` were decoded from optimised latents.
    gradient_norm, update_norm: {"text": …, "image": …} of the update that led here, for the latents that it moved.
    observed: what critics that only watch say of the image, by their name; the search never sees it.
    settings: in force when the step was made. cost: of this step alone. state: everything needed to go on from here;
    None in a replay. probabilities: where somebody asked for them (`milr_core.diagnostics`).
    """

    index: int
    text: str
    image: Image.Image
    score: Score
    best: int
    settings: SearchSettings
    cost: Cost
    text_tokens: list[int]
    token_strings: list[str]
    text_prefix: int
    text_positions: list[int]
    image_tokens: list[int]
    image_positions: list[int]
    gradient_norm: dict[str, float]
    update_norm: dict[str, float]
    observed: dict[str, Score]
    state: "State | None"
    probabilities: Probabilities | None = None

    @property
    def reward(self) -> float:
        return self.score.value

    @property
    def parts(self) -> dict[str, float]:
        return self.score.parts

    @property
    def reason(self) -> str:
        return self.score.reason

    @property
    def independent(self) -> bool:
        """Whether no latent was optimised for it: step 0, and every image of Best-of-N."""
        return not self.text_positions and not self.image_positions

    def __iter__(self) -> Iterator:
        return iter((self.text, self.image, self.reward))
