# SPDX-License-Identifier: Apache-2.0
"""Measure on a CPU the effect of half precision on a network, with every value truly rounded.

Runtimes without half-precision arithmetic compute in float32 and drop the casts between, which hides
overflows. Here each value is cast down and up again with graph optimisation off, so that no cast is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
from onnx import ModelProto, NodeProto, TensorProto, helper

from .onnx_types import element_types
from .precision import FIXED_INPUTS, HALF, is_arithmetic

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


@dataclass(frozen=True)
class NodeError:
    """The effect of rounding on one node with exact inputs.

    Attributes:
        name: of the node.
        operator: of the node.
        error: L2 norm of the error over that of the output, of the feed with the largest quotient.
        largest: largest absolute value of the output.
        broken: cells that become non-finite.
    """

    name: str
    operator: str
    error: float
    largest: float
    broken: int


class _Rounder:
    """Add nodes that round values to a half precision and back to float32."""

    def __init__(self, half: int) -> None:
        self.half = half
        self.nodes: list[NodeProto] = []
        self.made: set[str] = set()

    def __call__(self, name: str) -> str:
        rounded = f"{name}.rounded"
        if rounded not in self.made:
            self.made.add(rounded)
            self.nodes += [
                helper.make_node("Cast", [name], [f"{name}.down"], to=self.half),
                helper.make_node("Cast", [f"{name}.down"], [rounded], to=TensorProto.FLOAT),
            ]
        return rounded


def emulate(model: ModelProto, precision: str, islands: Collection[str]) -> ModelProto:
    """Make a float32 graph with the results of :func:`~evitsam_ros.tensorrt.precision.convert`'s.

    Inside an operator sums are float32, as in TensorRT's and ONNX Runtime's kernels; its inputs, weights and
    outputs are rounded.
    """
    types = element_types(model)
    outputs = {value.name for value in model.graph.output}
    rounder = _Rounder(HALF[precision])
    renamed: dict[str, str] = {}
    for source in model.graph.node:
        node = NodeProto()
        node.CopyFrom(source)
        half = is_arithmetic(node, types) and node.name not in islands
        fixed = FIXED_INPUTS.get(node.op_type, ())
        for index, name in enumerate(node.input):
            current = renamed.get(name, name)
            rounds = half and index not in fixed and types.get(name) == TensorProto.FLOAT
            node.input[index] = rounder(current) if rounds else current
        rounder.nodes.append(node)
        for index, name in enumerate(node.output):
            if not half or types.get(name) != TensorProto.FLOAT:
                continue
            raw = f"{name}.raw"
            node.output[index] = raw
            if name in outputs:
                rounder.nodes.append(helper.make_node("Identity", [rounder(raw)], [name]))
            renamed[name] = rounder(raw)
    return _with_nodes(model, rounder.nodes)


def node_errors(model: ModelProto, precision: str, feeds: Iterable[dict[str, np.ndarray]]) -> list[NodeError]:
    """Measure the error of each node by itself, the worst over the feeds, in the graph's order.

    Each node gets a copy with rounded inputs and outputs, while the network itself continues in float32. Four
    numbers per node leave the graph, at any size of its values.
    """
    types = element_types(model)
    rounder, names = _Rounder(HALF[precision]), []
    for source in model.graph.node:
        rounder.nodes.append(source)
        if not is_arithmetic(source, types):
            continue
        copy = NodeProto()
        copy.CopyFrom(source)
        copy.name = f"{source.name}.copy"
        fixed = FIXED_INPUTS.get(copy.op_type, ())
        for index, name in enumerate(copy.input):
            if index not in fixed and types.get(name) == TensorProto.FLOAT:
                copy.input[index] = rounder(name)
        copy.output[:] = [f"{name}.copy" for name in copy.output]
        rounder.nodes.append(copy)
        rounder.nodes += _measures(source.output[0], rounder(copy.output[0]))
        names.append(source)
    measured = _with_nodes(model, rounder.nodes)
    outputs = [f"{node.output[0]}.{measure}" for node in names for measure in MEASURES]
    for name in outputs:
        measured.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, []))
    session = run_as_written(measured)
    worst = np.zeros((len(names), 3))
    for feed in feeds:
        found = np.array(session.run(outputs, feed), np.float64).reshape(len(names), len(MEASURES))
        difference, reference, *rest = np.nan_to_num(found, nan=np.inf).T
        # Relative to the feed's own reference: relative to a bright image, a dark one's error would vanish.
        with np.errstate(invalid="ignore"):
            error = np.sqrt(difference / np.maximum(reference, 1e-30))
        worst = np.maximum(worst, np.nan_to_num(np.stack([error, *rest], axis=1), nan=np.inf, posinf=np.inf))
    return [
        NodeError(node.name, node.op_type, float(error), float(largest), int(broken))
        for node, (error, largest, broken) in zip(names, worst, strict=True)
    ]


MEASURES = ("difference", "reference", "largest", "broken")


def _measures(reference: str, rounded: str) -> list[NodeProto]:
    """Scalars: squares of the difference (of finite cells) and of the reference, maximum, broken cells."""
    t = f"{rounded}.t"
    make = helper.make_node
    return [
        make("Sub", [rounded, reference], [f"{t}0"]),
        make("Mul", [f"{t}0", "measure.zero"], [f"{t}1"]),  # 0, or NaN where the cell is not finite
        make("IsNaN", [f"{t}1"], [f"{t}2"]),
        make("Where", [f"{t}2", "measure.zero", f"{t}0"], [f"{t}3"]),
        make("ReduceSumSquare", [f"{t}3"], [f"{reference}.difference"], keepdims=0),
        make("ReduceSumSquare", [reference], [f"{reference}.reference"], keepdims=0),
        make("Abs", [reference], [f"{t}4"]),
        make("ReduceMax", [f"{t}4"], [f"{reference}.largest"], keepdims=0),
        make("Cast", [f"{t}2"], [f"{t}5"], to=TensorProto.FLOAT),
        make("ReduceSum", [f"{t}5"], [f"{reference}.broken"], keepdims=0),
    ]


def _with_nodes(model: ModelProto, nodes: list[NodeProto]) -> ModelProto:
    changed = ModelProto()
    changed.CopyFrom(model)
    del changed.graph.node[:], changed.graph.value_info[:]
    changed.graph.node.extend(nodes)
    changed.graph.initializer.append(helper.make_tensor("measure.zero", TensorProto.FLOAT, [], [0.0]))
    return changed


def run_as_written(model: ModelProto, threads: int = 0) -> onnxruntime.InferenceSession:
    """Open a session that executes the graph node by node, without rewriting it."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
