"""The decode loop: prefill, decode one, decode n, rewind, on static caches, one row or many.

Reads the weights of a `LlamaModel` and calls none of its code: q, k and v are one projection, gate and up
another, rotary tables and key/value caches are allocated once. Knows nothing of prompts, critics or latents;
where a search wants a token at a position, it says so (`forced`), and the loop decodes around it.

Shapes: B rows, S new positions, D hidden size, H heads, K key/value heads, E head size, V tokens.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import LlamaModel

from milr_core.runtime import runtime_for

FREE = -1  # in `forced`: this position is the model's to decide

Poll = Callable[[], None]
"""Called between tokens; raises to leave the loop."""


def _fuse(*linears: nn.Linear) -> Tensor:
    """One weight for several projections of the same input. The modules become views of it: no second copy."""
    fused = torch.cat([linear.weight.data for linear in linears])
    for linear, part in zip(linears, fused.split([linear.out_features for linear in linears]), strict=True):
        linear.weight.data = part
    return fused


class _Layer:
    def __init__(self, layer: nn.Module):
        attention, mlp = layer.self_attn, layer.mlp
        self.qkv = _fuse(attention.q_proj, attention.k_proj, attention.v_proj)
        self.out = attention.o_proj.weight
        self.gate_up = _fuse(mlp.gate_proj, mlp.up_proj)
        self.down = mlp.down_proj.weight
        self.attention_norm = layer.input_layernorm.weight
        self.mlp_norm = layer.post_attention_layernorm.weight


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
        self.layers = [_Layer(layer) for layer in llama.layers]
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

    def _norm(self, x: Tensor, weight: Tensor) -> Tensor:
        wide = x.float()
        scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return (wide * scale).to(x.dtype) * weight

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
            qkv = F.linear(self._norm(x, layer.attention_norm), layer.qkv)
            qkv = qkv.view(rows, new, -1, self.head_size).transpose(1, 2)  # [B, H + 2K, S, E]
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
            x = x + F.linear(seen.transpose(1, 2).reshape(rows, new, -1), layer.out)
            gate, up = F.linear(self._norm(x, layer.mlp_norm), layer.gate_up).chunk(2, -1)
            x = x + F.linear(F.silu(gate) * up, layer.down)
        return self._norm(x, self.final_norm)


def pick(logits: Tensor, uniform: Tensor, temperature: float) -> Tensor:
    """Draw tokens by inverse distribution function; at temperature 0 take the most likely ones.

    logits: (n, V), uniform: (n,) in [0, 1) -> (n,) int64.
    """
    if temperature == 0:
        return logits.argmax(-1)
    cumulative = torch.softmax(logits.float() / temperature, dim=-1).cumsum(-1)
    drawn = torch.searchsorted(cumulative, uniform.unsqueeze(-1) * cumulative[:, -1:], right=True)
    return drawn[:, 0].clamp_max(logits.shape[-1] - 1)


@torch.no_grad()
def decode_text(
    stack: LanguageStack,
    embed: Callable[[Tensor], Tensor],
    head: Callable[[Tensor], Tensor],
    cache: Cache,
    first: Tensor,
    end_token: int,
    limit: int,
    given: Tensor,
    poll: Poll,
    uniform: Tensor | None = None,
    temperature: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Decode one row of text, greedily, or sampled where `uniform` (limit,) is given.

    first: (D,) last-layer output at the prompt's last position. given: (n,) tokens that the text starts with.
    Returns tokens (M,), the end token among them if it was reached, and latents (M, D): what each was decoded from.
    """
    start, hidden = len(given), first
    tokens = torch.full((limit,), end_token, device=first.device)
    latents = first.new_empty(limit, len(first))
    latents[0] = first
    if start:
        poll()
        tokens[:start] = given
        outputs = stack.forward(embed(given).unsqueeze(0), cache)[0]  # [n, D]
        latents[1 : start + 1] = outputs[: limit - 1]
        hidden = outputs[-1]
    end = start
    ended = start > 0 and given[-1].item() == end_token
    while end < limit and not ended:
        poll()
        if end > start:
            hidden = stack.forward(embed(tokens[end - 1]).view(1, 1, -1), cache)[0, 0]
        latents[end] = hidden
        logits = head(hidden)
        if uniform is None:
            tokens[end] = logits.argmax()
        else:
            tokens[end] = pick(logits.unsqueeze(0), uniform[end : end + 1], temperature)[0]
        end += 1
        if (end - start) % stack.look_every == 0 or end == limit:  # to look is to wait for the device
            found = (tokens[start:end] == end_token).nonzero()
            ended = len(found) > 0
            end = start + int(found[0]) + 1 if ended else end
    return tokens[:end].clone(), latents[:end].clone()


@torch.no_grad()
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
    is_forced = (forced[0] != FREE).tolist()
    prefix = is_forced.index(False) if False in is_forced else length
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
        if not is_forced[i]:
            tokens[:, i] = pick(head(hidden), uniform[:, i], temperature)
        if i + 1 < length:
            x = embeddings[tokens[:, i]].repeat_interleave(2, 0).unsqueeze(1)  # [2n, 1, D]
            hidden = stack.forward(x, cache).view(count, 2, -1)
            latents[:, i + 1] = hidden
    return tokens, latents
