"""ONNX models that are written operation by operation, and the sessions that run them on a CPU."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
import torch
from onnx import TensorProto, ValueInfoProto, helper, numpy_helper
from torch import Tensor

FUSED = "com.microsoft"
"""The domain of ONNX Runtime's own operations."""


def value(name: str, shape: Sequence[int | str], kind: int = TensorProto.FLOAT) -> ValueInfoProto:
    """An input or an output of a model. Sizes that vary are named."""
    return helper.make_tensor_value_info(name, kind, shape)


class OnnxGraph:
    """A model in the making: every operation and every constant is appended, and goes by the name that is returned."""

    def __init__(self) -> None:
        self._nodes: list = []
        self._constants: list = []

    def add(self, kind: str, inputs: Sequence[str], *outputs: str, domain: str = "", **attributes: Any) -> str:
        """Append an operation; returns its first output, which needs no name unless one is given."""
        outputs = outputs or (f"{kind}.{len(self._nodes)}",)
        self._nodes.append(helper.make_node(kind, inputs, outputs, domain=domain, **attributes))
        return outputs[0]

    def constant(self, values: Tensor | np.ndarray) -> str:
        name = f"constant.{len(self._constants)}"
        array = values.detach().numpy() if isinstance(values, Tensor) else values
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def silu(self, x: str) -> str:
        """x * sigmoid(x)."""
        return self.add("QuickGelu", [x], domain=FUSED, alpha=1.0)

    def serialized(self, inputs: Sequence[ValueInfoProto], outputs: Sequence[ValueInfoProto]) -> bytes:
        graph = helper.make_graph(self._nodes, "graph", inputs, outputs, self._constants)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid(FUSED, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


def session(graph: bytes, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Threads that wait for the next call by spinning take the core from torch: pixels then take twice as long.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


class Sessions:
    """A graph for one thread, and for as many as torch has."""

    def __init__(self, graph: bytes):
        self._process = os.getpid()
        self._one = self._all = session(graph, 1)
        if torch.get_num_threads() > 1:
            self._all = session(graph, torch.get_num_threads())

    def choose(self, one_does: bool = False) -> onnxruntime.InferenceSession:
        """A forked process has no threads but its own: there the session that needs no others runs everything."""
        return self._one if one_does or os.getpid() != self._process else self._all
