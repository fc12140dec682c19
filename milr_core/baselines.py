"""What MILR is compared with: the plain prompt, and Best-of-N, a strategy that learns nothing from its steps.

Text-enhanced reasoning, the paper's zero-step control, is `search.start`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from milr_core.control import SearchControl
from milr_core.critics.base import Critic
from milr_core.errors import InputError
from milr_core.janus import Janus, Workspace
from milr_core.janus.decode import Poll
from milr_core.search import reason, start
from milr_core.settings import SearchSettings
from milr_core.state import BEST_OF_N, PLAIN, State, Step
from milr_core.strategy import Proposal, Strategy, fingerprint, remembered


def plain(
    model: Janus,
    critic: Critic,
    prompt: str,
    settings: SearchSettings | None = None,
    observers: Sequence[Critic] = (),
    workspace: Workspace | None = None,
) -> Step:
    """One image of the prompt as it is, with no reasoning text: what the model does without MILR."""
    s = settings or SearchSettings()
    return start(model, critic, prompt, s, workspace=workspace, observers=observers, method=PLAIN).step


@dataclass(frozen=True)
class BestOfN(Strategy):
    """N independent images. early_stop: end at the first score above tau. text_temperature: above 0, each image but
    the first has a text of its own, sampled at that temperature; distinct: one that was not there before.
    """

    n: int
    early_stop: bool = True
    text_temperature: float = 0.0
    distinct: bool = False
    method = BEST_OF_N

    def propose(self, model: Janus, state: State, s: SearchSettings) -> Proposal:
        proposal = Proposal(state, new_text=self.text_temperature > 0, temperature=self.text_temperature)
        if not self.distinct:
            return proposal
        seen = [*remembered(state.memory, "seen"), fingerprint(state.drawn.text_tokens)]
        return replace(proposal, seen=tuple(seen), memory={"seen": seen})

    def finished(self, state: State, s: SearchSettings) -> bool:
        return state.index + 1 >= self.n or (self.early_stop and state.reward > s.threshold)


def best_of_n(
    model: Janus,
    critic: Critic,
    prompt: str,
    n: int,
    settings: SearchSettings | None = None,
    early_stop: bool = True,
    batch: int = 1,
    control: SearchControl | None = None,
    observers: Sequence[Critic] = (),
    text_temperature: float = 0.0,
    state: State | None = None,
    workspace: Workspace | None = None,
    distinct: bool = False,
) -> Iterator[Step]:
    """N independent images of one greedy reasoning text; yields each, `best` is the best so far.

    The first is the same as step 0 of a search with these settings. early_stop: end at the first score above tau, as
    MILR does. batch: images drawn at once, where no workspace is given. observers: critics that score every image into
    `Step.observed` and choose nothing. text_temperature: above 0, every image but the first has a text of its own,
    sampled at that temperature; distinct: without replacement, none that was there before. state: the first image,
    where it is there already; it is not yielded again.

    Raises:
        InputError: n or batch below 1, or bad input as for `reason`. CriticError: while iterating.
    """
    if n < 1 or batch < 1:
        raise InputError(f"Best-of-N draws at least one image, at least one at a time; got n={n}, batch={batch}.")
    if text_temperature < 0 or (text_temperature and batch > 1):
        raise InputError("Texts are sampled at a temperature of 0 or more, and images of several texts one at a time.")
    s = (settings or (state.settings if state else SearchSettings())).resolve(model.recommended)
    strategy = BestOfN(n, early_stop, text_temperature, distinct)
    if batch > 1 and workspace is None:
        rng = torch.Generator().manual_seed(s.seed)
        rows = torch.rand(n, model.num_image_tokens, generator=rng if state is None else rng.set_state(state.random))
        workspace = DrawsAhead(
            model, batch, (rows[1:] if state is None else rows[: n - state.index - 1]).to(model.device)
        )
    return reason(model, critic, prompt, s, control, state, observers, strategy, workspace)


class DrawsAhead(Workspace):
    """Draws several images of a text at once, and hands them out one a step: they differ in nothing but their noise.

    noise: (n, N), the rows that the steps to come will ask for, in order. What is asked for otherwise is drawn alone.
    """

    def __init__(self, model: Janus, batch: int, noise: Tensor):
        super().__init__(model)
        self.batch, self.noise, self.at = batch, noise, 0
        self.drawn: list[tuple[Tensor, Tensor]] = []

    def images(
        self, prompt: str, text: str, uniform: Tensor, forced: Tensor, settings: SearchSettings, poll: Poll
    ) -> tuple[Tensor, Tensor]:
        if not torch.equal(self.noise[self.at : self.at + 1], uniform):
            return super().images(prompt, text, uniform, forced, settings, poll)
        if not self.drawn:
            rows = self.noise[self.at : self.at + self.batch]
            tokens, hidden = super().images(prompt, text, rows, forced.expand(len(rows), -1), settings, poll)
            self.drawn = list(zip(tokens.split(1), hidden.split(1), strict=True))
        self.at += 1
        return self.drawn.pop(0)
