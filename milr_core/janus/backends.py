"""What runs a model, chosen once at load by what device and model can take.

The layers of a `LanguageStack`:
- `OnnxRuntime`: on a CPU, a model of moderate size in float32.
- `CudaRuntime`: on CUDA.
- `EagerRuntime`: everywhere else; and where layers are quantised or wait in main memory.

Image tokens to pixels, and last-layer outputs to image tokens: `OnnxDecoder` and `OnnxHead` on a CPU, where they are of
moderate size; transformers' own elsewhere.

All compute the same: it is a matter of speed.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from transformers import JanusVQVAE, LlamaModel

from milr_core.janus.cuda_graph import CudaRuntime
from milr_core.janus.onnx_backend import OnnxRuntime
from milr_core.janus.onnx_decoder import OnnxDecoder, drawable
from milr_core.janus.onnx_head import OnnxHead, writable
from milr_core.janus.transformer import EagerRuntime, FusedLayer, LanguageStack

MOST_ONNX_BYTES = 1 << 28  # the weights are held three times; in larger models the operations hide their own cost
MOST_PART_BYTES = (
    1 << 26
)  # of decoder or head: held three times too, which what is said of a model's memory leaves room for


def language_stack(llama: LlamaModel) -> LanguageStack:
    """A model's layers with the fastest runtime that they can take."""
    stack = LanguageStack(llama)
    stack.runtime = _fastest(stack)
    return stack


def _fastest(stack: LanguageStack) -> EagerRuntime:
    fused = [layer for layer in stack.layers if isinstance(layer, FusedLayer)]
    if len(fused) < len(stack.layers):
        return EagerRuntime(stack)  # what the modules do is not ours to capture
    if stack.device.type == "cuda":
        return CudaRuntime(stack)
    size = 4 * sum(w.numel() for layer in fused for w in (layer.qkv, layer.out, layer.gate_up, layer.down))
    fits = stack.dtype == torch.float32 and stack.head_size % 16 == 0 and size <= MOST_ONNX_BYTES
    return OnnxRuntime(stack) if stack.device.type == "cpu" and fits else EagerRuntime(stack)


def pixel_decoder(vqmodel: JanusVQVAE) -> Callable[..., Tensor]:
    """The fastest way from (n, N) image tokens to (n, 3, H, W) pixels."""
    size = sum(weight.nbytes for weight in vqmodel.decoder.parameters())
    return OnnxDecoder(vqmodel) if size <= MOST_PART_BYTES and drawable(vqmodel) else vqmodel.decode


def image_head(head: nn.Module) -> Callable[[Tensor], Tensor]:
    """The fastest way from (..., D) last-layer outputs to (..., V) logits over the codebook."""
    size = sum(weight.nbytes for weight in head.parameters())
    return OnnxHead(head) if size <= MOST_PART_BYTES and writable(head) else head
