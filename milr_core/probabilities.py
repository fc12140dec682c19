"""How sure each token of a step was: noted while the model is there, for whoever looks at the step without it."""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from milr_core.janus import Janus
from milr_core.latents import Latents
from milr_core.state import Probabilities, State


def _figures(
    head: Callable[[Tensor], Tensor], rollout: Tensor, latents: Latents | None, tokens: list[int]
) -> list[list[float]]:
    """Probability of each token, the same under the model's own output, and the entropy as a share of the largest.

    rollout: (n, …), the model's outputs; a token at a latent's position was decoded from that instead.
    """
    chosen = torch.tensor(tokens, device=rollout.device).unsqueeze(-1)
    decoded_from, at = rollout, torch.empty(0, dtype=torch.long)
    if latents is not None:
        there = latents.positions < len(rollout)
        at, decoded_from = latents.positions[there].to(rollout.device), rollout.clone()
        decoded_from[at] = latents.values[there.to(latents.values.device)].to(rollout)
    log_p = torch.log_softmax(head(decoded_from).float(), dim=-1)
    p = log_p.exp()
    of_token = p.gather(-1, chosen)[:, 0]
    own = of_token.clone()
    if len(at):  # elsewhere they are the same
        own[at] = torch.softmax(head(rollout[at]).float(), dim=-1).gather(-1, chosen[at])[:, 0]
    entropy = -(p * log_p).nan_to_num().sum(-1) / math.log(log_p.shape[-1])
    figures = (of_token, own, entropy)
    return [[round(v, 3) for v in x.clamp(0, 1).tolist()] for x in figures]


@torch.no_grad()
def token_probabilities(model: Janus, state: State) -> Probabilities:
    """How likely each token was under what it was decoded from, with the step's guidance and temperature.

    At temperature 0 image tokens are looked at as with temperature 1.
    """
    state = state.to(model.device)
    s, drawn = state.settings, state.drawn

    def image_head(z: Tensor) -> Tensor:
        return model.image_head(z, s.guidance) / (s.temperature or 1.0)

    return Probabilities(
        *_figures(model.text_head, drawn.text_hidden, state.latents.get("text"), drawn.text_tokens),
        *_figures(image_head, drawn.image_hidden, state.latents.get("image"), drawn.image_tokens),
    )


def inspected(model: Janus, state: State) -> State:
    """The state with its tokens' probabilities, for whoever looks at it later without a model."""
    return replace(state, probabilities=token_probabilities(model, state))
