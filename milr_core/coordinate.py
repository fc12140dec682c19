"""Beside the paper: one text latent at a time, moved along its policy gradient until its token changes.

MILR moves every latent of a prefix a little: most tokens stay, and those that change change together, so a score says
little about any of them. Here a rollout asks of one token whether it matters: its latent crosses the boundary to
another token (exact line search), the text after it is decoded anew, and the search goes on from the best text so far.

With `anew` texts are sampled once several moves in a row were in vain, which finds what no single move leads to; the
first that is better is moved in its turn.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from milr_core.janus import Janus
from milr_core.latents import Latents, log_probability
from milr_core.settings import SearchSettings, size
from milr_core.state import SEARCH, State
from milr_core.strategy import Proposal, Strategy, remembered

RULE = "coordinate"
FAMILIAR = 0.8
"""Share of its weight that a position loses for every one tried before that had the same tokens to choose from."""
BEYOND = 1.01
"""How far past the boundary, in distances to it."""
PATIENCE = 4
"""Steps in vain, one after another, before texts are sampled."""
TEMPERATURE = 0.7
"""Of a text that is sampled."""


def next_position(logits: Tensor, fixed: Sequence[int], tried: Sequence[int]) -> int:
    """The least sure of n positions, those like the ones tried in vain put last.

    logits: (n, V). fixed: positions that stay as they are. Likeness is the overlap of two distributions
    (Bhattacharyya), so that one place in vain makes the search ask about something else than places.
    """
    log_p = torch.log_softmax(logits.float(), dim=-1)
    weight = -(log_p.exp() * log_p).sum(-1)  # entropy
    roots = torch.softmax(logits.float(), dim=-1).sqrt()
    for position in tried:
        if position < len(roots):
            weight = weight * (1 - FAMILIAR * (roots @ roots[position]).clamp(0, 1))
            weight[position] *= 1 - FAMILIAR  # itself comes after its likes
    weight[list(fixed)] = -1
    return int(weight.argmax())


def across(model: Janus, z: Tensor, token: int) -> tuple[Tensor, float]:
    """A latent (D,) moved away from `token` just far enough for another to be likelier, and its gradient's norm."""
    tokens = torch.tensor([token], device=z.device)
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        logits = model.text_head(z[None]).float()
        (gradient,) = torch.autograd.grad(log_probability(logits, tokens), z, retain_graph=True)
        norm, direction = gradient.norm().item(), gradient
        if not norm:  # the token is certain to the last bit: there is no slope, so towards the runner-up
            runner_up = logits[0].detach().index_fill(0, tokens, -torch.inf).argmax()
            (direction,) = torch.autograd.grad(logits[0, token] - logits[0, runner_up], z)
    z, away = z.detach(), -direction / direction.norm().clamp_min(1e-12)
    with torch.no_grad():
        here, there = model.text_head(torch.stack([z, z + away])).float()
        lead, closing = here[token] - here, (there - here) - (there[token] - here[token])  # the head is linear
        crossings = (lead / closing)[closing > 0]
        distance = BEYOND * crossings.min().clamp_min(1e-6) if len(crossings) else torch.ones_like(here[0])
        while int(model.text_head(z + distance * away).argmax()) == token:  # rounding, in 16 bit
            distance = 2 * distance
    return z + distance * away, norm


def move_one(
    model: Janus, state: State, s: SearchSettings, tried: Sequence[int]
) -> tuple[Latents, tuple[float, float]]:
    """The text latents that have been moved, one more at their end; the norms of its gradient and its update.

    Latents after it are dropped: their text is decoded anew. tried: positions that did not help.
    """
    hidden = state.drawn.text_hidden
    candidates = hidden[: size(s.text_ratio, len(hidden))].float()
    before = state.latents.get("text")
    before = before if before is not None and before.rule == RULE else None
    kept = [p for p in before.positions.tolist() if p < len(candidates)] if before is not None else []
    with torch.no_grad():
        logits = model.text_head(candidates)
    position = next_position(logits, kept, tried)
    old = candidates[position]
    new, gradient_norm = across(model, old, state.drawn.text_tokens[position])
    rows = [(p, before.values[i]) for i, p in enumerate(kept) if p < position] if before is not None else []
    positions, values = zip(*rows, (position, new), strict=True)
    latents = Latents.new(torch.stack(values), torch.tensor(positions), s.text_ratio, RULE)
    return latents, (gradient_norm, (new - old).norm().item())


class Coordinate(Strategy):
    """Asks one question of the best text so far. Remembers that state and the positions that were tried in vain."""

    method = SEARCH

    def __init__(
        self, moving: Callable[[str, int, int], set[str]], image_latents: Callable[..., tuple], anew: bool = False
    ):
        """moving: the schedule, Algorithm 2. image_latents: the paper's own move of them, which goes on beside."""
        self.moving, self.image_latents, self.anew = moving, image_latents, anew

    def propose(self, model: Janus, state: State, s: SearchSettings) -> Proposal:
        tried, best = remembered(state.memory, "tried"), state.kept or state
        if state.index == state.best:  # better than before: ask the next question of this text
            tried = tried if state.drawn.text_tokens == best.drawn.text_tokens else []
            best = state
        kept = replace(best, kept=None, probabilities=None)
        base = replace(kept, index=state.index, values=state.values, random=state.random, spent=state.spent)
        moves = self.moving(s.strategy, state.index + 1, s.steps)
        latents = {"text": base.latents["text"]} if "text" in base.latents and s.strategy != "image" else {}
        memory: dict[str, Any] = {"tried": list(tried)}
        norms: dict[str, tuple[float, float]] = {}
        temperature = 0.0
        if "text" in moves and self.anew and state.index - state.best >= PATIENCE:
            latents.pop("text", None)
            temperature = TEMPERATURE
        elif "text" in moves:
            latents["text"], norms["text"] = move_one(model, base, s, tried)
            memory["tried"] = [*tried, int(latents["text"].positions[-1])]
        if s.strategy != "text":
            latents["image"], moved = self.image_latents("image" in moves, model, base, s)
            norms |= {"image": moved} if moved else {}
        return Proposal(base, latents, "text" in moves, temperature, norms=norms, memory=memory, kept=kept)
