"""The layers of a `LanguageStack` through ONNX Runtime, on a CPU in float32, on the cache's own buffers.

Eight fused operations a layer instead of some forty, which is what a token costs in a model of moderate size.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from onnx import TensorProto
from torch import Tensor

from milr_core.janus.onnx_graph import FUSED, OnnxGraph, Sessions, value
from milr_core.janus.transformer import Cache, EagerRuntime, FusedLayer, LanguageStack

FEW = 8  # positions at once up to which one thread is as fast as two, and leaves the other to what comes next


class OnnxRuntime(EagerRuntime):
    """ONNX Runtime on the cache's own buffers."""

    def __init__(self, stack: LanguageStack):
        super().__init__(stack)
        self.sessions = Sessions(_graph(stack))

    @contextmanager
    def loop(self) -> Iterator[None]:
        """One thread for torch: its small operations between tokens gain nothing from more, and two pools of threads
        that wait for work on the same cores take them from each other (measured: a token takes four times as long)."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)

    def forward(self, x: Tensor, cache: Cache) -> Tensor:
        rows, new, _ = x.shape
        if new > 1 and rows > 1 and any(cache.lengths):  # its attention appends several positions to one row only
            return torch.cat([self._run(x[r : r + 1], cache, slice(r, r + 1)) for r in range(rows)])
        return self._run(x, cache, slice(0, rows))

    def _run(self, x: Tensor, cache: Cache, rows: slice) -> Tensor:
        key = (rows.start, rows.stop, x.shape[1])
        if key not in cache.bound:
            if x.shape[1] > 1:  # lengths of pieces vary: keep what the token step needs only
                return self._bind(x, cache, rows)(x, cache.lengths[rows])
            cache.bound[key] = self._bind(x, cache, rows)
        return cache.bound[key](x, cache.lengths[rows])

    def _bind(self, x: Tensor, cache: Cache, rows: slice) -> "_Bound":
        return _Bound(self, x, [k[rows] for k in cache.keys], [v[rows] for v in cache.values])


class _Bound:
    """Inputs and outputs of one shape, tied to their memory once."""

    def __init__(self, runtime: OnnxRuntime, x: Tensor, keys: list[Tensor], values: list[Tensor]):
        self._session = runtime.sessions.choose(one_does=x.shape[0] * x.shape[1] <= FEW)
        self._x, self._hidden = torch.empty_like(x).contiguous(), torch.empty_like(x).contiguous()
        self._last = torch.empty(len(x), dtype=torch.int32)  # index of each row's last position
        self._total = torch.empty((), dtype=torch.int32)
        self._keep = (keys, values)
        self._binding = self._session.io_binding()
        self._input("x", self._x)
        self._input("last", self._last)
        self._input("total", self._total)
        for i, (k, v) in enumerate(zip(keys, values, strict=True)):
            for name, cached in (("key", k), ("value", v)):
                self._input(f"{name}.{i}", cached)
                self._output(f"{name}.{i}.out", cached)  # the same memory: written in place
        self._output("hidden", self._hidden)

    def _input(self, name: str, tensor: Tensor) -> None:
        kind = np.int32 if tensor.dtype == torch.int32 else np.float32
        self._binding.bind_input(name, "cpu", 0, kind, tuple(tensor.shape), tensor.data_ptr())

    def _output(self, name: str, tensor: Tensor) -> None:
        self._binding.bind_output(name, "cpu", 0, np.float32, tuple(tensor.shape), tensor.data_ptr())

    def __call__(self, x: Tensor, lengths: list[int]) -> Tensor:
        new = x.shape[1]
        self._x.copy_(x)
        if len(set(lengths)) == 1:
            self._last.fill_(lengths[0] + new - 1)
        else:
            self._last.copy_(torch.tensor(lengths) + new - 1)
        self._total.fill_(max(lengths) + new)
        self._session.run_with_iobinding(self._binding)
        return self._hidden.clone()


def _graph(stack: LanguageStack) -> bytes:
    """The layers as an ONNX model, in ONNX Runtime's fused operations. Weights are its constants."""
    size, layers = stack.final_norm.numel(), [layer for layer in stack.layers if isinstance(layer, FusedLayer)]
    cached = ["rows", stack.kv_heads, "capacity", stack.head_size]
    graph = OnnxGraph()

    def multiply(x: str, weight: Tensor) -> str:
        return graph.add("MatMul", [x, graph.constant(weight.T)])

    def add_and_norm(x: str, more: str, name: str, weight: Tensor) -> tuple[str, str]:
        """x + more, and its norm: one operation."""
        inputs, outputs = [x, more, graph.constant(weight)], [name, "", "", f"{name}.sum"]
        graph.add("SkipSimplifiedLayerNormalization", inputs, *outputs, domain=FUSED, epsilon=stack.eps)
        return f"{name}.sum", name

    half = stack.head_size // 2
    rotation = [graph.constant(stack.cos[:, :half]), graph.constant(stack.sin[:, half:])]
    inputs = [value("x", ["rows", "new", size])]
    inputs += [value("last", ["rows"], TensorProto.INT32), value("total", [], TensorProto.INT32)]
    outputs = [value("hidden", ["rows", "new", size])]
    x, first = "x", graph.constant(layers[0].attention_norm)
    normed = graph.add("SimplifiedLayerNormalization", [x, first], axis=-1, epsilon=stack.eps)
    for i, layer in enumerate(layers):
        caches = [f"key.{i}", f"value.{i}"]
        inputs += [value(name, cached) for name in caches]
        outputs += [value(f"{name}.out", cached) for name in caches]
        attention = graph.add(
            "GroupQueryAttention",
            [multiply(normed, layer.qkv), "", "", *caches, "last", "total", *rotation],
            *(f"attention.{i}", *(f"{name}.out" for name in caches)),
            domain=FUSED,
            num_heads=stack.heads,
            kv_num_heads=stack.kv_heads,
            do_rotary=1,
        )
        x, normed = add_and_norm(x, multiply(attention, layer.out), f"mlp_norm.{i}", layer.mlp_norm)
        gate, up = (multiply(normed, weight) for weight in layer.gate_up.chunk(2))
        down = multiply(graph.add("Mul", [graph.silu(gate), up]), layer.down)
        last = i + 1 == len(layers)
        weight = stack.final_norm if last else layers[i + 1].attention_norm
        x, normed = add_and_norm(x, down, "hidden" if last else f"attention_norm.{i + 1}", weight)
    return graph.serialized(inputs, outputs)
