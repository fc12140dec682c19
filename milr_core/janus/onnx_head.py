"""The image head through ONNX Runtime, on a CPU in float32: last-layer outputs to logits over the codebook.

With a codebook of thousands the head is the dearest thing about an image token, and ONNX Runtime multiplies a few rows
by a large matrix several times faster than torch does.
"""

from typing import Any, TypeGuard

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.activations import GELUActivation
from transformers.models.janus.modeling_janus import JanusVQVAEHead

from milr_core.janus.onnx_graph import FUSED, OnnxGraph, session, value


class OnnxHead:
    """Gives what its slow twin gives: (..., D) -> (..., V) float32.

    The twin is the `JanusVQVAEHead` that it is made of.
    """

    def __init__(self, head: JanusVQVAEHead):
        self._layers = head.proj_out, head.vision_head
        self._session = session(_graph(*self._layers), 1)

    def __call__(self, z: Tensor) -> Tensor:
        rows = z.reshape(-1, z.shape[-1])
        if torch.is_grad_enabled() and z.requires_grad:
            return self._with_gradients(rows).reshape(*z.shape[:-1], -1)
        (logits,) = self._session.run(None, {"z": rows.detach().numpy()})
        return torch.from_numpy(np.asarray(logits)).reshape(*z.shape[:-1], -1)

    def _with_gradients(self, rows: Tensor) -> Tensor:
        first, last = self._layers
        return _FewRows.apply(F.gelu(first(rows)), last.weight, last.bias)


class _FewRows(torch.autograd.Function):
    """A linear layer of many outputs for few rows, by whose weights nobody asks for a gradient.

    Forward torch is several times faster with the rows as columns, (V, D) x (D, n); backward with rows,
    (n, V) x (V, D).
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        return torch.addmm(bias.unsqueeze(1), weight, rows.T).T

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        return gradient.contiguous() @ weight, None, None


def writable(head: nn.Module) -> TypeGuard[JanusVQVAEHead]:
    """Whether the graph can hold this head: on a CPU, in float32, of the modules that it knows."""
    return (
        isinstance(head, JanusVQVAEHead)
        and type(head.activation_fn) in (GELUActivation, nn.GELU)
        and all(type(part) is nn.Linear for part in (head.proj_out, head.vision_head))
        and all(weight.dtype == torch.float32 and weight.device.type == "cpu" for weight in head.parameters())
    )


def _graph(*layers: nn.Linear) -> bytes:
    """Linear layers with a GELU between each two."""
    graph, x = OnnxGraph(), "z"
    for i, layer in enumerate(layers):
        if i:
            x = graph.add("Gelu", [x], domain=FUSED)
        product = graph.add("MatMul", [x, graph.constant(layer.weight.T)])
        x = graph.add("Add", [product, graph.constant(layer.bias)])
    return graph.serialized([value("z", ["n", layers[0].in_features])], [value(x, ["n", layers[-1].out_features])])
