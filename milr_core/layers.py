"""One transformer layer of a `LanguageStack`, without its attention: on fused weights, or through its modules.

Fused weights are what the decode loop is fast with. A layer that is quantised, or whose weights wait elsewhere until
they are called for (accelerate's hooks), has none to fuse: its modules are called one by one.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """As Llama norms: in float32, scaled in the precision of `x`."""
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

    def __init__(self, layer: nn.Module, eps: float):
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

    def __init__(self, layer: nn.Module):
        self.layer = layer

    def attention_in(self, x: Tensor) -> Tensor:
        attention, x = self.layer.self_attn, self.layer.input_layernorm(x)
        return torch.cat([attention.q_proj(x), attention.k_proj(x), attention.v_proj(x)], dim=-1)

    def attention_out(self, x: Tensor) -> Tensor:
        return self.layer.self_attn.o_proj(x)

    def mlp(self, x: Tensor) -> Tensor:
        return self.layer.mlp(self.layer.post_attention_layernorm(x))


def layer_of(layer: nn.Module, eps: float) -> FusedLayer | CalledLayer:
    """A `LlamaDecoderLayer`, fused where its weights are plain ones."""
    linears = [module for name, module in layer.named_modules() if name.endswith("_proj")]
    plain = all(type(one) is nn.Linear and one.bias is None and not one.weight.is_meta for one in linears)
    return FusedLayer(layer, eps) if plain else CalledLayer(layer)
