"""Beside the paper: one text latent at a time, moved along its policy gradient until its token changes.

MILR moves every latent of a prefix a little: most tokens stay, and those that change change together, so a score says
little about any of them. Here a rollout asks of one token whether it matters: its latent crosses the boundary to
another token (exact line search), the text after it is decoded anew, and the search goes on from the best text so far.

Two things may be added. `anew`: every second text is sampled instead, which finds what no single move leads to.
`credit`: of the best text, the change is made that is likeliest in the model's eyes where the critic's boxes and parts
put a token in doubt, and names of things that nobody asked for are chosen more rarely (`milr_core.credit`). A critic
that gives neither boxes nor parts with words of the text in them leaves all tokens in the same doubt.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from milr_core import credit, reinforce
from milr_core.janus import Janus
from milr_core.janus.workspace import RELUCTANCE
from milr_core.latents import Latents
from milr_core.settings import SearchSettings, size
from milr_core.state import SEARCH, State
from milr_core.strategy import Proposal, remembered

RULE = "coordinate"
FAMILIAR = 0.8
"""Share of its weight that a position loses for every one tried before that had the same tokens to choose from."""
BEYOND = 1.01
"""How far past the boundary, in distances to it."""
FARTHEST = 30
"""Times that a distance is doubled before another token will do."""
TEMPERATURE = 0.7
"""Of a text that is sampled."""


def next_position(logits: Tensor, fixed: Sequence[int], tried: Sequence[int]) -> int:
    """The least sure of n positions, those like the ones tried in vain put last.

    logits: (n, V). fixed: positions that stay as they are. Likeness is the overlap of two distributions
    (Bhattacharyya), so that one place in vain makes the search ask about something else than places.
    """
    weight = reinforce.entropy(logits)
    roots = torch.softmax(logits.float(), dim=-1).sqrt()
    for position in tried:
        if position < len(roots):
            weight = weight * (1 - FAMILIAR * (roots @ roots[position]).clamp(0, 1))
            weight[position] *= 1 - FAMILIAR  # itself comes after its likes
    weight[list(fixed)] = -1
    return int(weight.argmax())


@dataclass(frozen=True)
class Verdict:
    """What the critic said of a text. doubts: of each of its tokens. unwanted: ids of tokens that named what nobody
    asked for. took: the tokens that the positions tried in vain were moved to.
    """

    doubts: Sequence[float]
    unwanted: Sequence[int]
    took: Sequence[int]


def likeliest_change(
    logits: Tensor, tokens: Sequence[int], fixed: Sequence[int], tried: Sequence[int], verdict: Verdict
) -> tuple[int, int]:
    """A position of n and another token for it: the likeliest of all that were not tried, by the doubt in the position.

    logits: (n, V). tokens: those that stand there. Positions like those tried in vain are put last, as above.
    """
    probability = torch.softmax(logits.float(), dim=-1)
    roots, rows = probability.sqrt(), torch.arange(len(logits), device=logits.device)
    weight = torch.tensor(verdict.doubts[: len(rows)], device=logits.device)
    value = probability.clone()
    value[:, [token for token in verdict.unwanted if token < value.shape[1]]] *= math.exp(-RELUCTANCE)
    value[rows, torch.tensor(tokens[: len(rows)], device=logits.device)] = 0
    for position, token in zip(tried, verdict.took, strict=False):
        if position < len(rows) and token < value.shape[1]:
            weight = weight * (1 - FAMILIAR * (roots @ roots[position]).clamp(0, 1))
            value[position, token] = 0
    value = value * weight[:, None]
    value[list(fixed)] = -1
    return divmod(int(value.argmax()), value.shape[1])


def towards(model: Janus, z: Tensor, token: int, other: int) -> tuple[Tensor, float]:
    """A latent (D,) moved from `token` to where the other is likeliest, and its gradient's norm."""
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        logits = model.text_head(z[None]).float()[0]
        (gradient,) = torch.autograd.grad(logits[other] - logits[token], z)
    z, lead = z.detach(), (logits[token] - logits[other]).item()
    distance = BEYOND * max(lead, 1e-6) / gradient.square().sum().clamp_min(1e-12)  # the head is linear
    for _ in range(FARTHEST):
        with torch.no_grad():
            if int(model.text_head(z + distance * gradient).argmax()) == other:
                return z + distance * gradient, gradient.norm().item()
        distance = 2 * distance  # a third token is likelier on the way
    return across(model, z, token)


def across(model: Janus, z: Tensor, token: int) -> tuple[Tensor, float]:
    """A latent (D,) moved away from `token` just far enough for another to be likelier, and its gradient's norm."""
    tokens = torch.tensor([token], device=z.device)
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        logits = model.text_head(z[None]).float()
        (gradient,) = torch.autograd.grad(reinforce.log_probability(logits, tokens), z, retain_graph=True)
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
    model: Janus, state: State, s: SearchSettings, tried: Sequence[int], verdict: Verdict | None = None
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
    tokens = state.drawn.text_tokens
    if verdict is None:
        position = next_position(logits, kept, tried)
        new, gradient_norm = across(model, candidates[position], tokens[position])
    else:
        position, other = likeliest_change(logits, tokens, kept, tried, verdict)
        new, gradient_norm = towards(model, candidates[position], tokens[position], other)
    old = candidates[position]
    rows = [(p, before.values[i]) for i, p in enumerate(kept) if p < position] if before is not None else []
    positions, values = zip(*rows, (position, new), strict=True)
    values = torch.stack(values)
    nothing, count = torch.zeros_like(values), torch.zeros(len(values), dtype=torch.long)
    latents = Latents(values, torch.tensor(positions), nothing, nothing.clone(), count, s.text_ratio, RULE)
    return latents, (gradient_norm, (new - old).norm().item())


class Coordinate:
    """Asks one question of the best text so far. Remembers that state, and the positions that were tried in vain;
    how many texts it has asked for, and which names nobody wanted.
    """

    method = SEARCH

    def __init__(
        self,
        moving: Callable[[str, int, int], set[str]],
        image_latents: Callable[..., tuple],
        anew: bool = False,
        credit: bool = False,
    ):
        """moving: the schedule, Algorithm 2. image_latents: the paper's own move of them, which goes on beside."""
        self.moving, self.image_latents, self.anew, self.credit = moving, image_latents, anew, credit

    def propose(self, model: Janus, state: State, s: SearchSettings) -> Proposal:
        tried, took = remembered(state.memory, "tried"), remembered(state.memory, "took")
        best = state.kept or state
        if state.index == state.best:  # better than before: ask the next question of this text
            same = state.drawn.text_tokens == best.drawn.text_tokens
            tried, took = (tried, took) if same else ([], [])
            best = state
        kept = replace(best, kept=None, probabilities=None)
        base = replace(kept, index=state.index, values=state.values, random=state.random, spent=state.spent)
        moves = self.moving(s.strategy, state.index + 1, s.steps)
        latents = {"text": base.latents["text"]} if "text" in base.latents and s.strategy != "image" else {}
        turn = sum(remembered(state.memory, "turn"))
        unwanted = self._unwanted(state) if self.credit else []
        memory: dict[str, Any] = {"tried": list(tried)}
        norms: dict[str, tuple[float, float]] = {}
        sampled: dict[str, Any] = {}
        memory |= {"turn": [turn + ("text" in moves)]} if self.anew else {}
        memory |= {"unwanted": unwanted, "took": list(took)} if self.credit else {}
        if "text" in moves and self.anew and turn % 2:
            latents.pop("text", None)
            sampled = {"temperature": TEMPERATURE, "unlikely": tuple(unwanted)}
        elif "text" in moves:
            verdict = Verdict(credit.doubts(base.drawn), unwanted, took) if self.credit else None
            latents["text"], norms["text"] = move_one(model, base, s, tried, verdict)
            memory["tried"] = [*tried, int(latents["text"].positions[-1])]
            if self.credit:
                with torch.no_grad():
                    memory["took"] = [*took, int(model.text_head(latents["text"].values[-1]).argmax())]
        if s.strategy != "text":
            latents["image"], moved = self.image_latents("image" in moves, model, base, s)
            norms |= {"image": moved} if moved else {}
        return Proposal(base, latents, "text" in moves, norms=norms, memory=memory, kept=kept, **sampled)

    def _unwanted(self, state: State) -> list[int]:
        """Tokens that named what nobody asked for in this run, and nothing that somebody did."""
        before = set(remembered(state.memory, "unwanted"))
        drawn = state.drawn
        return sorted((before | credit.named(drawn, False)) - credit.named(drawn, True))

    def finished(self, state: State, s: SearchSettings) -> bool:
        return state.finished(s)
