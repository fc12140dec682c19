"""The decode loop: texts and images, token by token, one row or many, on a `LanguageStack` and its caches.

Knows nothing of prompts, critics or latents; where a search wants a token at a position, it says so (`forced`), and
the loop decodes around it.

Shapes: B rows, D hidden size, V tokens.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from math import isqrt

import torch
import torch.nn.functional as F
from torch import Tensor

from milr_core.janus.finite import LogitsCheck
from milr_core.janus.transformer import Cache, LanguageStack

FREE = -1  # in `forced`: this position is the model's to decide

Poll = Callable[[], None]
"""Called between tokens; raises to leave the loop."""


def keep_going() -> None:
    """The poll of a search that nobody interrupts."""


def guided(logits: Tensor, weight: float | Tensor) -> Tensor:
    """Classifier-free guidance. logits: (..., 2, V), conditional then unconditional -> (..., V)."""
    conditional, unconditional = logits.unbind(-2)
    return unconditional + weight * (conditional - unconditional)


def pick(logits: Tensor, uniform: Tensor, temperature: float) -> Tensor:
    """Draw tokens by inverse distribution function; at temperature 0 take the most likely ones.

    logits: (n, V), uniform: (n,) in [0, 1) -> (n,) int64.
    """
    if temperature == 0:
        return logits.argmax(-1)
    cumulative = torch.softmax(logits.float() / temperature, dim=-1).cumsum(-1)
    drawn = torch.searchsorted(cumulative, uniform.unsqueeze(-1) * cumulative[:, -1:], right=True)
    return drawn[:, 0].clamp_max(logits.shape[-1] - 1)


def _in_loop(decode: Callable) -> Callable:
    """Without gradients, and as the stack's runtime wants its loops to run."""

    @wraps(decode)
    def decoded(stack: LanguageStack, *args, **kwargs):
        with torch.no_grad(), stack.runtime.loop():
            return decode(stack, *args, **kwargs)

    return decoded


@_in_loop
def decode_texts(
    stack: LanguageStack,
    embed: Callable[[Tensor], Tensor],
    head: Callable[[Tensor], Tensor],
    cache: Cache,
    first: Tensor,
    end_token: int,
    limit: int,
    given: Sequence[Tensor],
    poll: Poll,
    uniform: Tensor | None = None,
    temperature: float = 1.0,
) -> list[tuple[Tensor, Tensor]]:
    """Decode B texts at once, greedily, or sampled where `uniform` (B, limit) is given.

    cache: B rows, their prompts filled in. first: (B, D) last-layer outputs at the prompts' last positions.
    given: for each row the tokens (n,) that its text starts with, at most `limit`.
    Returns for each row tokens (M,), the end token among them if it was reached, and latents (M, D): what each token
    was decoded from.

    Raises:
        InputError: logits are not finite.
    """
    rows, size = first.shape
    starts, prompts = [len(tokens) for tokens in given], list(cache.lengths)
    before, hidden = first.unsqueeze(1), first  # before: [B, 1 + n, D], latents of the given tokens and the next one
    if width := max(starts):
        poll()
        padded = torch.stack([F.pad(tokens, (0, width - len(tokens))) for tokens in given])
        before = torch.cat([before, stack.forward(embed(padded), cache)], dim=1)
        cache.lengths = [prompt + start for prompt, start in zip(prompts, starts, strict=True)]
        hidden = torch.stack([before[row, start] for row, start in enumerate(starts)])
        if uniform is not None:
            uniform = torch.stack([F.pad(u[start:], (0, start)) for u, start in zip(uniform, starts, strict=True)])
    room = [0 if s and given[row][-1] == end_token else limit - s for row, s in enumerate(starts)]
    counts = list(room)  # of tokens decoded after the given ones, up to and with the end token
    check = LogitsCheck("text head")
    tokens = torch.empty(rows, max(room), dtype=torch.long, device=first.device)
    latents = first.new_empty(rows, max(room), size)
    looked = 0
    for i in range(max(room)):
        poll()
        if i:
            hidden = stack.forward(embed(tokens[:, i - 1]).unsqueeze(1), cache)[:, 0]
            if rows > 1:  # a row that is done stays where it is
                cache.lengths = [min(n, p + limit - 1) for n, p in zip(cache.lengths, prompts, strict=True)]
        latents[:, i] = hidden
        logits = head(hidden)
        check.add(logits, hidden)
        tokens[:, i] = logits.argmax(-1) if uniform is None else pick(logits, uniform[:, i], temperature)
        if (i + 1) % stack.look_every == 0 or i + 1 == max(room):  # to look is to wait for the device
            for row, column in (tokens[:, looked : i + 1] == end_token).nonzero().tolist():
                counts[row] = min(counts[row], looked + column + 1)
            looked = i + 1
            if max(counts) <= looked:
                break
    check.look(hidden)
    return [
        (
            torch.cat([given[row], tokens[row, :count]]),
            torch.cat([before[row, : starts[row]], latents[row, :count]]),
        )
        for row, count in enumerate(counts)
    ]


@_in_loop
def decode_images(
    stack: LanguageStack,
    embeddings: Tensor,
    head: Callable[[Tensor], Tensor],
    cache: Cache,
    first: Tensor,
    uniform: Tensor,
    forced: Tensor,
    temperature: float,
    poll: Poll,
    on_row: Callable[[Tensor], None] | None = None,
) -> tuple[Tensor, Tensor]:
    """Decode n images of N tokens at once.

    embeddings: (V, D), the input vector of each image token. head: (n, 2, D) -> guided logits (n, V).
    cache: 2n rows, the two rows of an image (conditional, unconditional) side by side, the prompt filled in.
    first: (n, 2, D) last-layer outputs at the start-of-image position. uniform: (n, N) in [0, 1).
    forced: (n, N) tokens, FREE where the position is to be sampled. on_row: called after each row of an image but the
    last, with the tokens (n, M) so far.
    Returns tokens (n, N) and latents (n, N, 2, D).

    Raises:
        InputError: logits are not finite.
    """
    count, length = forced.shape
    tokens = forced.clone()
    latents = first.new_empty(count, length, *first.shape[1:])
    free = (forced == FREE).sum(0).tolist()  # at each position, the images that are free there
    prefix = next((i for i, images in enumerate(free) if images), length)
    check, hidden = LogitsCheck("image head"), first
    latents[:, 0] = first
    if prefix:
        poll()
        known = embeddings[forced[:, :prefix]].repeat_interleave(2, 0)  # [2n, prefix, D]
        outputs = stack.forward(known, cache).unflatten(0, (count, 2)).transpose(1, 2)  # [n, prefix, 2, D]
        kept = min(prefix, length - 1)
        latents[:, 1 : kept + 1] = outputs[:, :kept]
        hidden = outputs[:, -1]
    for i in range(prefix, length):
        poll()
        if free[i]:
            logits = head(hidden)
            check.add(logits, hidden)
            drawn = pick(logits, uniform[:, i], temperature)
            tokens[:, i] = drawn if free[i] == count else torch.where(forced[:, i] == FREE, drawn, forced[:, i])
        if i + 1 < length:
            if on_row and (i + 1) % isqrt(length) == 0:
                on_row(tokens[:, : i + 1])
            x = embeddings[tokens[:, i]].repeat_interleave(2, 0).unsqueeze(1)  # [2n, 1, D]
            hidden = stack.forward(x, cache).view(count, 2, -1)
            latents[:, i + 1] = hidden
    check.look(hidden)
    return tokens, latents
