"""Beside the paper: one text latent at a time, moved along its policy gradient until its token changes.

MILR moves every latent of a prefix a little: most tokens stay, and those that change change together, so a score says
little about any of them. Here a rollout asks of one token whether it matters: its latent crosses the boundary to
another token (exact line search), the text after it is decoded anew, and the search goes on from the best text so far.
"""

import torch
from torch import Tensor

from milr_core import reinforce
from milr_core.janus import Janus
from milr_core.latents import Latents, size
from milr_core.settings import SearchSettings
from milr_core.state import State

RULE = "coordinate"
FAMILIAR = 0.8
"""Share of its weight that a position loses for every one tried before that had the same tokens to choose from."""
BEYOND = 1.01
"""How far past the boundary, in distances to it."""


def next_position(logits: Tensor, fixed: list[int], tried: tuple[int, ...]) -> int:
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
    weight[fixed] = -1
    return int(weight.argmax())


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


def move_one(model: Janus, state: State, s: SearchSettings) -> tuple[Latents, float, float]:
    """The text latents that have been moved, one more at their end; the norms of its gradient and its update.

    Latents after it are dropped: their text is decoded anew. `state.tried` are positions that did not help.
    """
    candidates = state.rollout_text[: size(s.text_ratio, len(state.rollout_text))].float()
    before = state.text_latents if state.text_latents is not None and state.text_latents.rule == RULE else None
    kept = [p for p in before.positions.tolist() if p < len(candidates)] if before is not None else []
    with torch.no_grad():
        position = next_position(model.text_head(candidates), kept, state.tried)
    old = candidates[position]
    new, gradient_norm = across(model, old, state.text_tokens[position])
    rows = [(p, before.values[i], before.origin[i]) for i, p in enumerate(kept) if p < position]
    positions, values, origins = zip(*rows, (position, new, old), strict=True)
    values, nothing = torch.stack(values), torch.zeros(len(values), *old.shape, device=old.device)
    latents = Latents(
        values, torch.tensor(positions), nothing, nothing.clone(), torch.zeros(len(values), dtype=torch.long),
        s.text_ratio, RULE, torch.stack(origins),
    )  # fmt: skip
    return latents, gradient_norm, (new - old).norm().item()
