# SPDX-License-Identifier: Apache-2.0
"""Count the multiply-adds and bytes of one call of an ONNX graph, from the shapes of a real run.

A robot has no ``onnx`` to infer shapes with. ONNX Runtime, which it has, writes the shapes of every node into
its trace. So the graph runs once on the given inputs, with constants folded and no nodes fused. The count is
that of the file, for every profiled runtime.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

Shapes = list[tuple[int, ...]]


@dataclass(frozen=True)
class Work:
    """The necessary work of a call.

    Attributes:
        macs: multiply-adds of convolutions and matrix products.
        bytes: inputs, weights and outputs, each once; intermediate values may stay in a cache.
        uncounted: operators of the graph with an unknown number of multiply-adds.
    """

    macs: float = 0
    bytes: float = 0
    uncounted: tuple[str, ...] = ()

    def __add__(self, other: Work) -> Work:
        uncounted = tuple(sorted({*self.uncounted, *other.uncounted}))
        return Work(self.macs + other.macs, self.bytes + other.bytes, uncounted)


def _convolution(inputs: Shapes, output: tuple[int, ...]) -> int:
    return prod(output) * prod(inputs[1][1:])


def _transposed(inputs: Shapes, output: tuple[int, ...]) -> int:
    return prod(inputs[0]) * prod(inputs[1][1:])


def _product(inputs: Shapes, output: tuple[int, ...]) -> int:
    return prod(output) * inputs[0][-1]


def _gemm(inputs: Shapes, output: tuple[int, ...]) -> int:
    # Transposed or not, the first matrix has as many rows (or columns) as the output.
    return prod(output) * (prod(inputs[0]) // output[0])


COUNTED = {"Conv": _convolution, "ConvTranspose": _transposed, "MatMul": _product, "Gemm": _gemm}
#: Operators with multiply-adds that are not counted.
UNKNOWN = {"Einsum", "Attention", "MultiHeadAttention", "LSTM", "GRU", "RNN", "QLinearConv", "QLinearMatMul"}
UNKNOWN |= {"ConvInteger", "MatMulInteger", "DeformConv"}


def graph_work(path: Path, inputs: dict[str, np.ndarray]) -> Work | None:
    """Run a graph once and count; return None if ONNX Runtime is missing or was built without its trace."""
    try:
        import onnxruntime as ort
    except ImportError:
        return None
    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.enable_profiling, options.profile_file_prefix = True, str(Path(folder) / "trace")
        # Prepacked weights would be missing from the shapes.
        options.add_session_config_entry("session.disable_prepacking", "1")
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        feed = {entry.name: inputs[entry.name] for entry in session.get_inputs()}
        outputs = session.run(None, feed)
        trace = session.end_profiling()
        if not trace:
            return None
        nodes = [event["args"] for event in json.loads(Path(trace).read_text()) if _is_node(event)]
    work = count_nodes(nodes)
    moved = sum(array.nbytes for array in (*feed.values(), *outputs))
    return Work(work.macs, work.bytes + moved, work.uncounted)


def _is_node(event: dict[str, Any]) -> bool:
    return event.get("cat") == "Node" and "output_type_shape" in event.get("args", {})


def count_nodes(nodes: list[dict[str, Any]]) -> Work:
    """Count the multiply-adds, and the bytes of the weights, of the nodes of an ONNX Runtime trace."""
    macs, uncounted = 0, set()
    for node in nodes:
        operator = node["op_name"]
        if operator in COUNTED:
            (output,) = _shapes(node["output_type_shape"])[:1]
            macs += COUNTED[operator](_shapes(node["input_type_shape"]), output)
        elif operator in UNKNOWN:
            uncounted.add(operator)
    weights = sum(int(node.get("parameter_size", 0)) for node in nodes)
    return Work(macs, weights, tuple(sorted(uncounted)))


def _shapes(entries: list[dict[str, list[int]]]) -> Shapes:
    return [tuple(shape) for entry in entries for shape in entry.values()]
