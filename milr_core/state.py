"""What a search is after a step (`State`), what callers see of it (`Step`), and what it took (`Cost`).

Runs are read and looked at without torch, so nothing here imports it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from PIL import Image

from milr_core.critics.base import NOTHING, Score, Usage
from milr_core.settings import SearchSettings

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from milr_core.latents import Latents

SEARCH, BEST_OF_N, PLAIN, BY_HAND = "search", "best-of-n", "plain", "by hand"
"""Methods, as a step records how it was made: by MILR, as one of N independent images, of the bare prompt, or of a plan
in which a person changed a word."""


@dataclass(frozen=True)
class Cost:
    """Holds what one step has cost, or several added up.

    Tokens are counted once, however many rows decode them; seconds are wall time by part. judge_…: what remote judges
    were asked, by the critic and the observers; dollars where the price is known.
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

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def usage(self) -> Usage:
        """Return what remote judges have used."""
        return Usage(self.judge_calls, self.judge_input_tokens, self.judge_output_tokens, self.judge_dollars)

    @property
    def seconds(self) -> float:
        return sum(getattr(self, f.name) for f in fields(self) if f.name.endswith("_seconds"))


@dataclass(frozen=True)
class Probabilities:
    """Holds the probabilities of one step's tokens; all in [0, 1].

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
class Drawn:
    """One rollout: a text of M tokens, the image of N tokens that was drawn from it, and what critics say of it.

    text_hidden: (M, D), image_hidden: (N, 2, D): the last-layer outputs that each token could be decoded from.
    """

    text: str
    text_tokens: list[int]
    token_strings: list[str]
    text_hidden: Tensor
    image_tokens: list[int]
    image_hidden: Tensor
    image: Image.Image
    score: Score
    observed: dict[str, Score]
    cost: Cost

    def hidden(self, kind: str) -> Tensor:
        """Return the latents of a kind, "text" or "image"."""
        return self.text_hidden if kind == "text" else self.image_hidden

    def tokens_at(self, kind: str, positions: Tensor) -> Tensor:
        """The tokens that latents at these positions were decoded to; a text may end before all of them."""
        tokens = self.text_tokens if kind == "text" else self.image_tokens
        reached = [tokens[p] for p in positions.tolist() if p < len(tokens)]
        return positions.new_tensor(reached, device=self.text_hidden.device)


@dataclass(frozen=True)
class State:
    """A search after step `index`: all that there is to it. Pickle it, move it, go on from it elsewhere or otherwise.

    settings: in force when the step was made. latents: by kind, the optimised ones z^k that the step was decoded from;
    none at step 0. values: the scores of steps 0 to `index`. random: state of the run's generator after this step.
    spent: on remote judges by steps 0 to `index`, which a run's budget goes on from. norms: by kind that moved, of the
    gradient and of the update that led here. method: how the step was made. memory: JSON-able, what a strategy
    remembers; kept: an earlier state that it may go back to. probabilities: where somebody asked for them.
    """

    prompt: str
    index: int
    settings: SearchSettings
    drawn: Drawn
    values: tuple[float, ...]
    random: Tensor
    latents: dict[str, Latents] = field(default_factory=dict)
    spent: Usage = NOTHING
    norms: dict[str, tuple[float, float]] = field(default_factory=dict)
    method: str = SEARCH
    memory: Mapping[str, Any] = field(default_factory=dict)
    kept: State | None = None
    probabilities: Probabilities | None = None

    @property
    def reward(self) -> float:
        return self.drawn.score.value

    @property
    def cost(self) -> Cost:
        """Return the cost of this step alone."""
        return self.drawn.cost

    @property
    def best(self) -> int:
        """Index of the best step so far, the first one on a tie."""
        return self.values.index(max(self.values))

    def finished(self, settings: SearchSettings) -> bool:
        """Algorithm 1 goes on while k <= K and r <= tau."""
        return self.index >= settings.steps or self.reward > settings.threshold

    def to(self, device: str | torch.device) -> State:
        """The same state with its tensors on a device; the generator's state stays on the CPU."""
        drawn = self.drawn
        hidden = {name: getattr(drawn, name).to(device) for name in ("text_hidden", "image_hidden")}
        return replace(
            self,
            drawn=replace(drawn, **hidden),
            latents={kind: z.to(device) for kind, z in self.latents.items()},
            kept=self.kept and self.kept.to(device),
        )

    @cached_property
    def step(self) -> Step:
        """What callers see of this state."""
        drawn, text, image = self.drawn, self.latents.get("text"), self.latents.get("image")
        optimised = [p for p in text.positions.tolist() if p < len(drawn.text_tokens)] if text else []
        return Step(
            index=self.index,
            text=drawn.text,
            image=drawn.image,
            score=drawn.score,
            best=self.best,
            settings=self.settings,
            cost=drawn.cost,
            text_tokens=drawn.text_tokens,
            token_strings=drawn.token_strings,
            text_prefix=len(optimised) if text and text.rule == "prefix" else 0,
            text_positions=optimised,
            image_tokens=drawn.image_tokens,
            image_positions=image.positions.tolist() if image else [],
            gradient_norm={kind: gradient for kind, (gradient, _) in self.norms.items()},
            update_norm={kind: update for kind, (_, update) in self.norms.items()},
            observed=drawn.observed,
            method=self.method,
            state=self,
            probabilities=self.probabilities,
        )


@dataclass(frozen=True)
class Step:
    """One step of a search; unpacks as `text, image, reward`.

    index: 0 is the model's own attempt. best: index of the best step so far, the first one on a tie.
    text_tokens: ids, the end token last if it was reached; those at `text_positions` were decoded from optimised
    latents: the first `text_prefix`, unless other positions than the prefix were asked for (then that is 0).
    image_tokens: ids row by row; `image_positions` were decoded from optimised latents.
    gradient_norm, update_norm: {"text": …, "image": …} of the update that led here, for the latents that it moved.
    observed: what critics that only watch say of the image, by their name; the search never sees it.
    settings: in force when the step was made. cost: of this step alone. method: "search", "best-of-n", "plain" or
    "by hand". state: everything needed to go on from here; None in a replay. probabilities: where somebody asked for
    them (`milr_core.probabilities`).
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
    method: str
    state: State | None
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

    def __iter__(self) -> Iterator:
        return iter((self.text, self.image, self.reward))
