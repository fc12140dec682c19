"""Image tokens to pixels through ONNX Runtime, on a CPU in float32: the decoder of a `JanusVQVAE` as one ONNX graph.

The graph is written from the modules' own weights, so nothing is traced or exported when a model is loaded.

Shapes: n images, C channels, h x w positions.
"""

import os
from typing import Any

import numpy as np
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from transformers import JanusVQVAE
from transformers.models.janus.modeling_janus import (
    JanusVQVAEAttnBlock,
    JanusVQVAEConvUpsample,
    JanusVQVAEDecoder,
    JanusVQVAEMidBlock,
    JanusVQVAEResnetBlock,
)

from milr_core.janus.onnx_backend import onnx_session


class OnnxDecoder:
    """Draws what `JanusVQVAE.decode`, its slow twin, draws: (n, N) tokens -> (n, 3, H, W) float32."""

    def __init__(self, vqmodel: JanusVQVAE):
        self._vqmodel: Any = vqmodel
        self._process, graph = os.getpid(), _Graph(vqmodel).serialized()
        self._alone = self._session = onnx_session(graph, 1)
        if torch.get_num_threads() > 1:
            self._session = onnx_session(graph, torch.get_num_threads())

    def __call__(self, tokens: Tensor) -> Tensor:
        # A forked process has no threads but its own: there the session that needs no others draws.
        session = self._session if os.getpid() == self._process else self._alone
        codes = self._vqmodel.quantize.get_codebook_entry(tokens)
        (pixels,) = session.run(None, {"codes": codes.numpy(force=True)})
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


class _Graph:
    """The decoder's operations in order. Every method appends to the graph and returns the name of its output."""

    def __init__(self, vqmodel: JanusVQVAE):
        self._nodes: list = []
        self._constants: list = []
        decoder: Any = vqmodel.decoder
        x = self._conv("codes", vqmodel.post_quant_conv)
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
        x = self._conv(self._silu(self._norm(x, decoder.norm_out)), decoder.conv_out)
        self._add("Identity", [x], "pixels")
        self._channels = vqmodel.post_quant_conv.in_channels

    def serialized(self) -> bytes:
        def value(name: str, shape: list):
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

        codes = value("codes", ["n", self._channels, "h", "w"])
        graph = helper.make_graph(
            self._nodes, "decoder", [codes], [value("pixels", ["n", "colors", "height", "width"])], self._constants
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()

    def _add(self, kind: str, inputs: list[str], name: str | None = None, domain: str = "", **attributes) -> str:
        name = name or f"{kind}.{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], domain=domain, **attributes))
        return name

    def _constant(self, values: Tensor | np.ndarray) -> str:
        name = f"constant.{len(self._constants)}"
        array = values.detach().numpy() if isinstance(values, Tensor) else values
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def _conv(self, x: str, conv: nn.Conv2d) -> str:
        (top, left), weight = conv.padding, self._constant(conv.weight)
        bias = [] if conv.bias is None else [self._constant(conv.bias)]
        return self._add("Conv", [x, weight, *bias], pads=[top, left, top, left], strides=list(conv.stride))

    def _norm(self, x: str, norm: nn.GroupNorm) -> str:
        """Group norm as an instance norm of the groups, then each channel's scale and shift."""
        if norm.num_groups == norm.num_channels:  # the instance norm's own scale and shift do
            scale, shift = self._constant(norm.weight), self._constant(norm.bias)
            return self._add("InstanceNormalization", [x, scale, shift], epsilon=norm.eps)
        ones, zeros = np.ones(norm.num_groups, np.float32), np.zeros(norm.num_groups, np.float32)
        grouped = self._add("Reshape", [x, self._constant(np.array([0, norm.num_groups, -1]))])
        normed = self._add(
            "InstanceNormalization", [grouped, self._constant(ones), self._constant(zeros)], epsilon=norm.eps
        )
        normed = self._add("Reshape", [normed, self._add("Shape", [x])])
        scaled = self._add("Mul", [normed, self._constant(norm.weight[:, None, None])])
        return self._add("Add", [scaled, self._constant(norm.bias[:, None, None])])

    def _silu(self, x: str) -> str:
        return self._add("QuickGelu", [x], domain="com.microsoft", alpha=1.0)  # x * sigmoid(x)

    def _resnet(self, x: str, block: JanusVQVAEResnetBlock) -> str:
        shortcut = x
        for name in ("conv_shortcut", "nin_shortcut"):  # where the number of channels changes
            if hasattr(block, name):
                shortcut = self._conv(x, getattr(block, name))
        if _adds_nothing(block.conv2):
            return shortcut
        hidden = self._conv(self._silu(self._norm(x, block.norm1)), block.conv1)
        hidden = self._conv(self._silu(self._norm(hidden, block.norm2)), block.conv2)
        return self._add("Add", [shortcut, hidden])

    def _attention(self, x: str, block: JanusVQVAEAttnBlock) -> str:
        """Single-headed attention over all positions."""
        if _adds_nothing(block.proj_out):
            return x
        normed = self._norm(x, block.norm)
        flat = self._constant(np.array([0, 0, -1]))
        query, key, value = (
            self._add("Reshape", [self._conv(normed, conv), flat]) for conv in (block.q, block.k, block.v)
        )  # [n, C, h w]
        scale = self._constant(np.array(block.in_channels**-0.5, np.float32))
        scores = self._add("MatMul", [self._add("Transpose", [query], perm=[0, 2, 1]), self._add("Mul", [key, scale])])
        weights = self._add("Transpose", [self._add("Softmax", [scores], axis=2)], perm=[0, 2, 1])
        seen = self._add("Reshape", [self._add("MatMul", [value, weights]), self._add("Shape", [x])])
        return self._add("Add", [x, self._conv(seen, block.proj_out)])

    def _upsample(self, x: str, conv: nn.Conv2d) -> str:
        """Twice the size, then the convolution."""
        scales = self._constant(np.array([1, 1, 2, 2], np.float32))
        larger = self._add(
            "Resize", [x, "", scales], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"
        )
        return self._conv(larger, conv)
