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
    """Keys and values of B rows, up to `capacity` positions. `length` positions are filled; rewind by lowering it.

    `pad`: (B,) positions at the left of each row that hold nothing, or None where every row is full.
    """

    def __init__(self, stack: "LanguageStack", rows: int, capacity: int, pad: Tensor | None = None):
        if capacity > stack.max_positions:
            raise ValueError(f"{capacity} positions; the model has {stack.max_positions}")
        shape = (rows, stack.kv_heads, capacity, stack.head_size)
        self.keys = [torch.empty(shape, dtype=stack.dtype, device=stack.device) for _ in stack.layers]
        self.values = [torch.empty(shape, dtype=stack.dtype, device=stack.device) for _ in stack.layers]
        self.length = 0
        self.pad = pad

    def tiled(self, times: int) -> "Cache":
        """A copy with all rows `times` over: r0 r1 r0 r1 …"""
        copy = object.__new__(Cache)
        copy.keys = [k.repeat(times, 1, 1, 1) for k in self.keys]
        copy.values = [v.repeat(times, 1, 1, 1) for v in self.values]
        copy.length = self.length
        copy.pad = None if self.pad is None else self.pad.repeat(times)
        return copy


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

    def _norm(self, x: Tensor, weight: Tensor) -> Tensor:
        wide = x.float()
        scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return (wide * scale).to(x.dtype) * weight

    def _rotation(self, cache: Cache, new: int) -> tuple[Tensor, Tensor]:
        """cos, sin for `new` positions from `cache.length` on: (1 or B, 1, S, E)."""
        start, end = cache.length, cache.length + new
        if cache.pad is None:
            return self.cos[start:end][None, None], self.sin[start:end][None, None]
        at = (torch.arange(start, end, device=self.device) - cache.pad[:, None]).clamp_min(0)
        return self.cos[at].unsqueeze(1), self.sin[at].unsqueeze(1)

    def _mask(self, cache: Cache, new: int) -> Tensor | None:
        """What each new position may see: (1 or B, 1, S, length + S) booleans, or None where it is everything."""
        total = cache.length + new
        if cache.pad is None and new == 1:
            return None
        columns = torch.arange(total, device=self.device)
        mask = columns <= torch.arange(cache.length, total, device=self.device)[:, None]
        if cache.pad is not None:
            # A padded query sees itself, so that its softmax is defined; nothing ever reads it.
            mask = (mask & (columns >= cache.pad[:, None, None])) | (columns == columns[cache.length :, None])
            return mask.unsqueeze(1)
        return mask[None, None]

    def forward(self, x: Tensor, cache: Cache) -> Tensor:
        """(B, S, D) embeddings -> (B, S, D) last-layer outputs; fills S positions of the cache."""
        rows, new, _ = x.shape
        start, total = cache.length, cache.length + new
        cos, sin = self._rotation(cache, new)
        mask = self._mask(cache, new)
        rotated = self.heads + self.kv_heads
        half = self.head_size // 2
        for layer, keys, values in zip(self.layers, cache.keys, cache.values, strict=True):
            qkv = F.linear(self._norm(x, layer.attention_norm), layer.qkv)
            qkv = qkv.view(rows, new, -1, self.head_size).transpose(1, 2)  # [B, H + 2K, S, E]
            qk = qkv[:, :rotated]
            qk = qk * cos + torch.cat([qk[..., half:], qk[..., :half]], dim=-1) * sin
            keys[:, :, start:total] = qk[:, self.heads :]
            values[:, :, start:total] = qkv[:, rotated:]
            seen = F.scaled_dot_product_attention(
                qk[:, : self.heads],
                keys[:, :, :total],
                values[:, :, :total],
                attn_mask=mask,
                enable_gqa=self.heads != self.kv_heads,
            )
            x = x + F.linear(seen.transpose(1, 2).reshape(rows, new, -1), layer.out)
            gate, up = F.linear(self._norm(x, layer.mlp_norm), layer.gate_up).chunk(2, -1)
            x = x + F.linear(F.silu(gate) * up, layer.down)
        cache.length = total
        return self._norm(x, self.final_norm)


def pick(logits: Tensor, uniform: Tensor, temperature: float) -> Tensor:
    """Draw tokens by inverse distribution function; at temperature 0 take the most likely ones.

    logits: (n, V), uniform: (n,) in [0, 1) -> (n,) int64.
    """
    if temperature == 0:
        return logits.argmax(-1)
    cumulative = torch.softmax(logits.float() / temperature, dim=-1).cumsum(-1)
    below = cumulative <= uniform.unsqueeze(-1) * cumulative[:, -1:]
    return below.sum(-1).clamp_max(logits.shape[-1] - 1)


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
    latents, tokens = [first.unsqueeze(0)], given.tolist()
    hidden = first
    if tokens:
        poll()
        outputs = stack.forward(embed(given).unsqueeze(0), cache)[0]  # [n, D]
        latents.append(outputs[:-1])
        hidden = outputs[-1]
    while len(tokens) < limit and (not tokens or tokens[-1] != end_token):
        poll()
        if tokens:
            latents.append(hidden.unsqueeze(0))
        logits = head(hidden)
        if uniform is None:
            token = logits.argmax()
        else:
            token = pick(logits.unsqueeze(0), uniform[len(tokens)].unsqueeze(0), temperature)[0]
        tokens.append(int(token))
        if tokens[-1] != end_token and len(tokens) < limit:
            hidden = stack.forward(embed(token).view(1, 1, -1), cache)[0, 0]
    return torch.tensor(tokens, device=first.device), torch.cat(latents)


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
