"""The transformer layers of a Janus, computed from the weights of a `LlamaModel` over static key/value caches.

Fused weights are what the decode loop is fast with. A layer that is quantised, or whose weights wait elsewhere until
they are called for (accelerate's hooks), has none to fuse: its modules are called one by one.

Shapes: B rows, S new positions, D hidden size, H heads, K key/value heads, E head size.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import LlamaModel
from transformers.models.llama.modeling_llama import LlamaDecoderLayer


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Normalise as Llama does: in float32, scaled in the precision of `x`."""
    wide = x.float()
    scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)
    return (wide * scale).to(x.dtype) * weight


def _fuse(*linears: nn.Linear) -> Tensor:
    """One weight for several projections of the same input. The modules become views of it: no second copy."""
    fused = torch.cat([linear.weight.data for linear in linears])
    for linear, part in zip(linears, fused.split([linear.out_features for linear in linears]), strict=True):
        linear.weight.data = part
    return fused


class FusedLayer:
    """q, k and v are one projection, gate and up another."""

    def __init__(self, layer: LlamaDecoderLayer, eps: float):
        attention, mlp = layer.self_attn, layer.mlp
        self.qkv = _fuse(attention.q_proj, attention.k_proj, attention.v_proj)
        self.out = attention.o_proj.weight
        self.gate_up = _fuse(mlp.gate_proj, mlp.up_proj)
        self.down = mlp.down_proj.weight
        self.attention_norm = layer.input_layernorm.weight
        self.mlp_norm = layer.post_attention_layernorm.weight
        self.eps = eps

    def attention_in(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., (H + 2K) E): normed and projected to q, k and v, side by side."""
        return F.linear(rms_norm(x, self.attention_norm, self.eps), self.qkv)

    def attention_out(self, x: Tensor) -> Tensor:
        """(..., H E) -> (..., D)."""
        return F.linear(x, self.out)

    def mlp(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D), the norm before it included."""
        gate, up = F.linear(rms_norm(x, self.mlp_norm, self.eps), self.gate_up).chunk(2, -1)
        return F.linear(F.silu(gate) * up, self.down)


class CalledLayer:
    """The same, through the layer's modules, whatever these do to find or unpack their weights."""

    def __init__(self, layer: LlamaDecoderLayer):
        self.layer = layer

    def attention_in(self, x: Tensor) -> Tensor:
        attention, x = self.layer.self_attn, self.layer.input_layernorm(x)
        return torch.cat([attention.q_proj(x), attention.k_proj(x), attention.v_proj(x)], dim=-1)

    def attention_out(self, x: Tensor) -> Tensor:
        return self.layer.self_attn.o_proj(x)

    def mlp(self, x: Tensor) -> Tensor:
        return self.layer.mlp(self.layer.post_attention_layernorm(x))


def layer_of(layer: LlamaDecoderLayer, eps: float) -> FusedLayer | CalledLayer:
    """A `LlamaDecoderLayer`, fused where its weights are plain ones."""
    linears = [module for name, module in layer.named_modules() if name.endswith("_proj")]
    return FusedLayer(layer, eps) if all(map(_plain, linears)) else CalledLayer(layer)


def _plain(module: nn.Module) -> bool:
    """Whether it is a linear layer with its weights here, and nothing else."""
    return type(module) is nn.Linear and module.bias is None and not module.weight.is_meta


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
        layers = cast(list[LlamaDecoderLayer], list(llama.layers))
        self.layers = [layer_of(layer, config.rms_norm_eps) for layer in layers]
        self.final_norm = llama.norm.weight
        self.eps = config.rms_norm_eps
        self.heads: int = config.num_attention_heads
        self.kv_heads: int = config.num_key_value_heads or self.heads
        self.head_size: int = layers[0].self_attn.head_dim
        self.max_positions = config.max_position_embeddings
        self.dtype, self.device = self.final_norm.dtype, self.final_norm.device
        everywhere = torch.arange(self.max_positions, device=self.device).unsqueeze(0)
        cos, sin = llama.rotary_emb(self.final_norm, everywhere)
        half = self.head_size // 2
        # Rotation by halves as one fused multiply: x * cos + swap(x) * sin, the sign of the swap folded into sin.
        self.cos, self.sin = cos[0], torch.cat([-sin[0, :, :half], sin[0, :, half:]], dim=-1)
        self.runtime: EagerRuntime = EagerRuntime(self)  # until a faster one is put in its place (`backends.py`)
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


def next_positions(x: Tensor, cache: Cache) -> Tensor:
    """(B, S) positions that come next in each row."""
    start = torch.tensor(cache.lengths, device=x.device)
    return start[:, None] + torch.arange(x.shape[1], device=x.device)


class EagerRuntime:
    def __init__(self, stack: LanguageStack):
        self.stack = stack

    def loop(self) -> AbstractContextManager:
        """What a decode loop runs in."""
        return nullcontext()

    def forward(self, x: Tensor, cache: Cache) -> Tensor:
        return self.stack.eager(x, cache, next_positions(x, cache), max(cache.lengths) + x.shape[1])
