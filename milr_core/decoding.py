"""The decode loop: prefill, decode one, decode n, rewind, on static caches, one row or many.

Reads the weights of a `LlamaModel` and calls its modules only where it must (`layers.py`); rotary tables and key/value
caches are allocated once. Knows nothing of prompts, critics or latents; where a search wants a token at a position, it
says so (`forced`), and the loop decodes around it.

Shapes: B rows, S new positions, D hidden size, H heads, K key/value heads, E head size, V tokens.
"""

from collections.abc import Callable, Sequence
from functools import wraps

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import LlamaModel

from milr_core.layers import layer_of, rms_norm
from milr_core.runtime import runtime_for

FREE = -1  # in `forced`: this position is the model's to decide

Poll = Callable[[], None]
"""Called between tokens; raises to leave the loop."""


class Cache:
    """Keys and values of B rows, up to `capacity` positions each, allocated once.

    `lengths`: filled positions of each row. Rewind a row by lowering its length. Rows of different lengths are
    filled together and rewound one by one: what lies beyond a row's length is never read.
    """

    def __init__(self, stack: "LanguageStack", rows: int, capacity: int):
        if capacity > stack.max_positions:
            raise ValueError(f"{capacity} positions; the model has {stack.max_positions}")
        shape = (rows, stack.kv_heads, capacity, stack.head_size)
        self.keys = [torch.zeros(shape, dtype=stack.dtype, device=stack.device) for _ in stack.layers]
        self.values = [torch.zeros(shape, dtype=stack.dtype, device=stack.device) for _ in stack.layers]
        self.capacity = capacity
        self.lengths = [0] * rows
        self.bound: dict = {}
        """What a runtime has prepared for these buffers."""

    @staticmethod
    def size(stack: "LanguageStack", rows: int, capacity: int) -> int:
        """Bytes that a cache takes."""
        return 2 * len(stack.layers) * rows * stack.kv_heads * capacity * stack.head_size * stack.dtype.itemsize

    def copy_from(self, other: "Cache") -> None:
        """Take over the filled part of a cache whose rows repeat in this one: r0 r1 r0 r1 …"""
        times, filled = len(self.lengths) // len(other.lengths), max(other.lengths)
        for own, theirs in zip((*self.keys, *self.values), (*other.keys, *other.values), strict=True):
            own[:, :, :filled] = theirs[:, :, :filled].repeat(times, 1, 1, 1)
        self.lengths = other.lengths * times


class LanguageStack:
    """The transformer layers of a Janus: embeddings in, last-layer outputs (after the final norm) out."""

    def __init__(self, llama: LlamaModel):
        config = llama.config
        if config.hidden_act != "silu":
            raise ValueError(f"the language model's activation is {config.hidden_act}; only silu is decoded")
        self.layers = [layer_of(layer, config.rms_norm_eps) for layer in llama.layers]
        self.final_norm = llama.norm.weight
        self.eps = config.rms_norm_eps
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_size = llama.layers[0].self_attn.head_dim
        self.max_positions = config.max_position_embeddings
        self.dtype, self.device = self.final_norm.dtype, self.final_norm.device
        everywhere = torch.arange(self.max_positions, device=self.device).unsqueeze(0)
        cos, sin = llama.rotary_emb(self.final_norm, everywhere)
        half = self.head_size // 2
        # Rotation by halves as one fused multiply: x * cos + swap(x) * sin, the sign of the swap folded into sin.
        self.cos, self.sin = cos[0], torch.cat([-sin[0, :, :half], sin[0, :, half:]], dim=-1)
        self.runtime = runtime_for(self)
        self.look_every = 16 if self.device.type == "cuda" else 1

    def forward(self, x: Tensor, cache: Cache) -> Tensor:
        """(B, S, D) embeddings -> (B, S, D) last-layer outputs; appends S positions to every row of the cache."""
        if max(cache.lengths) + x.shape[1] > cache.capacity:
            raise ValueError(f"{max(cache.lengths)} + {x.shape[1]} positions; the cache has {cache.capacity}")
        hidden = self.runtime.forward(x, cache)
        cache.lengths = [length + x.shape[1] for length in cache.lengths]
        return hidden

    def eager(self, x: Tensor, cache: Cache, at: Tensor, window: int) -> Tensor:
        """The layers, operation by operation. at: (B, S) positions of the new rows; window: positions looked at."""
        rows, new, _ = x.shape
        cos, sin = self.cos[at].unsqueeze(1), self.sin[at].unsqueeze(1)  # [B, 1, S, E]
        mask = torch.arange(window, device=x.device) <= at[:, None, :, None]  # [B, 1, S, window]
        row = torch.arange(rows, device=x.device)[:, None]
        rotated = self.heads + self.kv_heads
        half = self.head_size // 2
        for layer, keys, values in zip(self.layers, cache.keys, cache.values, strict=True):
            qkv = layer.attention_in(x).view(rows, new, -1, self.head_size).transpose(1, 2)  # [B, H + 2K, S, E]
            qk = qkv[:, :rotated]
            qk = qk * cos + torch.cat([qk[..., half:], qk[..., :half]], dim=-1) * sin
            keys[row, :, at] = qk[:, self.heads :].transpose(1, 2)
            values[row, :, at] = qkv[:, rotated:].transpose(1, 2)
            seen = F.scaled_dot_product_attention(
                qk[:, : self.heads],
                keys[:, :, :window],
                values[:, :, :window],
                attn_mask=mask,
                enable_gqa=self.heads != self.kv_heads,
            )
            x = x + layer.attention_out(seen.transpose(1, 2).reshape(rows, new, -1))
            x = x + layer.mlp(x)
        return rms_norm(x, self.final_norm, self.eps)


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
        tokens[:, i] = logits.argmax(-1) if uniform is None else pick(logits, uniform[:, i], temperature)
        if (i + 1) % stack.look_every == 0 or i + 1 == max(room):  # to look is to wait for the device
            for row, column in (tokens[:, looked : i + 1] == end_token).nonzero().tolist():
                counts[row] = min(counts[row], looked + column + 1)
            looked = i + 1
            if max(counts) <= looked:
                break
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
) -> tuple[Tensor, Tensor]:
    """Decode n images of N tokens at once.

    embeddings: (V, D), the input vector of each image token. head: (n, 2, D) -> guided logits (n, V).
    cache: 2n rows, the two rows of an image (conditional, unconditional) side by side, the prompt filled in.
    first: (n, 2, D) last-layer outputs at the start-of-image position. uniform: (n, N) in [0, 1).
    forced: (n, N) tokens, FREE where the position is to be sampled.
    Returns tokens (n, N) and latents (n, N, 2, D).
    """
    count, length = forced.shape
    tokens = forced.clone()
    latents = first.new_empty(count, length, *first.shape[1:])
    free = (forced == FREE).sum(0).tolist()  # at each position, the images that are free there
    prefix = next((i for i, images in enumerate(free) if images), length)
    hidden = first
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
            drawn = pick(head(hidden), uniform[:, i], temperature)
            tokens[:, i] = drawn if free[i] == count else torch.where(forced[:, i] == FREE, drawn, forced[:, i])
        if i + 1 < length:
            x = embeddings[tokens[:, i]].repeat_interleave(2, 0).unsqueeze(1)  # [2n, 1, D]
            hidden = stack.forward(x, cache).view(count, 2, -1)
            latents[:, i + 1] = hidden
    return tokens, latents
