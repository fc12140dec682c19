"""Beside the paper: a person changes one word of the plan, and the model writes on from there.

The word's latent is moved until another token is likelier: the one that is wanted, or the next at hand. What stands
before it stays.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from milr_core.coordinate import BEYOND, RULE, across
from milr_core.errors import InputError
from milr_core.janus import Janus
from milr_core.latents import Latents
from milr_core.settings import SearchSettings
from milr_core.state import BY_HAND, State
from milr_core.strategy import Proposal, Strategy

FARTHEST = 30
"""Times that a distance is doubled before another word will do."""


def towards(model: Janus, z: Tensor, token: int, other: int) -> tuple[Tensor, float]:
    """A latent (D,) moved from `token` to where the other is likeliest, and its gradient's norm.

    Raises:
        InputError: there is no such place on the way.
    """
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
    raise InputError("The model has no way from that word to this one: type another, or none for the likeliest.")


def token_of(model: Janus, word: str) -> int:
    """The token that a word is.

    Raises:
        InputError: it is none, or several.
    """
    tokenizer = model.processor.tokenizer
    ids = tokenizer(f" {word.strip()}", add_special_tokens=False).input_ids
    if len(ids) != 1 or ids[0] == tokenizer.unk_token_id:
        raise InputError(f"'{word[:40]}' is not one word of {model.name}: type another, or none for the likeliest.")
    return ids[0]


@dataclass(frozen=True)
class ByHand(Strategy):
    """The token at `position` becomes `word`, or what is likeliest after itself. What strategies remember is kept."""

    position: int
    word: str = ""
    method = BY_HAND

    def propose(self, model: Janus, state: State, s: SearchSettings) -> Proposal:
        """Raises InputError for a place or a word that there is not."""
        tokens, hidden = state.drawn.text_tokens, state.drawn.text_hidden
        if not 0 <= self.position < len(tokens):
            raise InputError(f"The plan has {len(tokens)} words; there is none at {self.position}.")
        old, token = hidden[self.position].float(), tokens[self.position]
        if self.word.strip():
            other = token_of(model, self.word)
            if other == token:
                raise InputError(f"'{self.word}' stands there already: type another word, or none for the likeliest.")
            new, norm = towards(model, old, token, other)
        else:
            new, norm = across(model, old, token)
        latents = Latents.new(new[None], torch.tensor([self.position]), s.text_ratio, RULE)
        norms = {"text": (norm, (new - old).norm().item())}
        return Proposal(state, {"text": latents}, True, norms=norms, memory=dict(state.memory), kept=state.kept)
