"""Image tokens to pixels through ONNX Runtime, on a CPU in float32: the decoder of a `JanusVQVAE` as one ONNX graph.

The graph is written from the modules' own weights, so nothing is traced or exported when a model is loaded.

Shapes: n images, C channels, h x w positions.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import JanusVQVAE
from transformers.models.janus.modeling_janus import (
    JanusVQVAEAttnBlock,
    JanusVQVAEConvUpsample,
    JanusVQVAEDecoder,
    JanusVQVAEMidBlock,
    JanusVQVAEResnetBlock,
)

from milr_core.janus.onnx_graph import OnnxGraph, Sessions, value


class OnnxDecoder:
    """Draws what `JanusVQVAE.decode`, its slow twin, draws: (n, N) tokens -> (n, 3, H, W) float32."""

    def __init__(self, vqmodel: JanusVQVAE):
        self._vqmodel: Any = vqmodel
        self._sessions = Sessions(_Graph(vqmodel).drawing())

    def __call__(self, tokens: Tensor) -> Tensor:
        codes = self._vqmodel.quantize.get_codebook_entry(tokens)
        (pixels,) = self._sessions.choose().run(None, {"codes": codes.numpy(force=True)})
        return torch.from_numpy(np.asarray(pixels))


def drawable(vqmodel: JanusVQVAE) -> bool:
    """Whether the graph can hold this decoder: on a CPU, in float32, of the modules that it knows."""
    decoder = vqmodel.decoder
    known = (JanusVQVAEAttnBlock, JanusVQVAEConvUpsample, JanusVQVAEDecoder, JanusVQVAEMidBlock, JanusVQVAEResnetBlock)
    plain = (nn.Conv2d, nn.GroupNorm, nn.Dropout, nn.ModuleList, nn.Module)
    return all(type(module) in (*known, *plain) for module in decoder.modules()) and all(
        weight.dtype == torch.float32 and weight.device.type == "cpu" for weight in decoder.parameters()
    )


def _adds_nothing(last: nn.Conv2d) -> bool:
    """Whether a residual branch that ends in this convolution is zero everywhere.

    A checkpoint may leave blocks idle: at an image's full size they would take most of the time.
    """
    return not last.weight.any() and (last.bias is None or not last.bias.any())


class _Graph(OnnxGraph):
    """The decoder's operations in order. Every method appends to the graph and returns the name of its output."""

    def __init__(self, vqmodel: JanusVQVAE):
        super().__init__()
        self._vqmodel = vqmodel

    def drawing(self) -> bytes:
        """The model from "codes" to "pixels"."""
        decoder: Any = self._vqmodel.decoder
        x = self._conv("codes", self._vqmodel.post_quant_conv)
        x = self._conv(x, decoder.conv_in)
        x = self._resnet(x, decoder.mid.block_1)
        x = self._attention(x, decoder.mid.attn_1)
        x = self._resnet(x, decoder.mid.block_2)
        for level in decoder.up:
            for i, block in enumerate(level.block):
                x = self._resnet(x, block)
                if i < len(level.attn):
                    x = self._attention(x, level.attn[i])
            if hasattr(level, "upsample"):
                x = self._upsample(x, level.upsample.conv)
        x = self._conv(self.silu(self._norm(x, decoder.norm_out)), decoder.conv_out)
        self.add("Identity", [x], "pixels")
        codes = value("codes", ["n", self._vqmodel.post_quant_conv.in_channels, "h", "w"])
        return self.serialized([codes], [value("pixels", ["n", "colors", "height", "width"])])

    def _conv(self, x: str, conv: nn.Conv2d) -> str:
        (top, left), weight = conv.padding, self.constant(conv.weight)
        bias = [] if conv.bias is None else [self.constant(conv.bias)]
        return self.add("Conv", [x, weight, *bias], pads=[top, left, top, left], strides=list(conv.stride))

    def _norm(self, x: str, norm: nn.GroupNorm) -> str:
        """Group norm as an instance norm of the groups, then each channel's scale and shift."""
        if norm.num_groups == norm.num_channels:  # the instance norm's own scale and shift do
            scale, shift = self.constant(norm.weight), self.constant(norm.bias)
            return self.add("InstanceNormalization", [x, scale, shift], epsilon=norm.eps)
        ones, zeros = np.ones(norm.num_groups, np.float32), np.zeros(norm.num_groups, np.float32)
        grouped = self.add("Reshape", [x, self.constant(np.array([0, norm.num_groups, -1]))])
        normed = self.add(
            "InstanceNormalization", [grouped, self.constant(ones), self.constant(zeros)], epsilon=norm.eps
        )
        normed = self.add("Reshape", [normed, self.add("Shape", [x])])
        scaled = self.add("Mul", [normed, self.constant(norm.weight[:, None, None])])
        return self.add("Add", [scaled, self.constant(norm.bias[:, None, None])])

    def _resnet(self, x: str, block: JanusVQVAEResnetBlock) -> str:
        shortcut = x
        for name in ("conv_shortcut", "nin_shortcut"):  # where the number of channels changes
            if hasattr(block, name):
                shortcut = self._conv(x, getattr(block, name))
        if _adds_nothing(block.conv2):
            return shortcut
        hidden = self._conv(self.silu(self._norm(x, block.norm1)), block.conv1)
        hidden = self._conv(self.silu(self._norm(hidden, block.norm2)), block.conv2)
        return self.add("Add", [shortcut, hidden])

    def _attention(self, x: str, block: JanusVQVAEAttnBlock) -> str:
        """Single-headed attention over all positions."""
        if _adds_nothing(block.proj_out):
            return x
        normed = self._norm(x, block.norm)
        flat = self.constant(np.array([0, 0, -1]))
        query, key, value = (
            self.add("Reshape", [self._conv(normed, conv), flat]) for conv in (block.q, block.k, block.v)
        )  # [n, C, h w]
        scale = self.constant(np.array(block.in_channels**-0.5, np.float32))
        scores = self.add("MatMul", [self.add("Transpose", [query], perm=[0, 2, 1]), self.add("Mul", [key, scale])])
        weights = self.add("Transpose", [self.add("Softmax", [scores], axis=2)], perm=[0, 2, 1])
        seen = self.add("Reshape", [self.add("MatMul", [value, weights]), self.add("Shape", [x])])
        return self.add("Add", [x, self._conv(seen, block.proj_out)])

    def _upsample(self, x: str, conv: nn.Conv2d) -> str:
        """Twice the size, then the convolution."""
        scales = self.constant(np.array([1, 1, 2, 2], np.float32))
        larger = self.add(
            "Resize", [x, "", scales], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"
        )
        return self._conv(larger, conv)
