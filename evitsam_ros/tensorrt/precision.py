# SPDX-License-Identifier: Apache-2.0
"""Convert a float32 network to half precision with float32 islands.

The precision lives in the graph; TensorRT only gets the flag "strongly typed". Every node is half or float,
and a cast stands where a value crosses. Neighbouring float nodes have no cast between them: an island is
contiguous, so no value overflows between two of its nodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from .onnx_types import element_types

if TYPE_CHECKING:
    from collections.abc import Collection

HALF = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
#: Inputs that the ONNX specification fixes to float32, by operator.
FIXED_INPUTS = {"Resize": (1, 2)}
#: Nodes with their output type as an attribute; they are not converted.
TYPED_BY_ATTRIBUTE = ("Cast", "ConstantOfShape", "EyeLike", "RandomNormal", "Range")


def is_arithmetic(node: NodeProto, types: dict[str, int]) -> bool:
    """Return whether a node computes floats, so that it has a precision."""
    if node.op_type in TYPED_BY_ATTRIBUTE:
        return False
    return any(types.get(name) == TensorProto.FLOAT for name in node.output)


def convert(model: ModelProto, precision: str, islands: Collection[str]) -> ModelProto:
    """Convert a graph to half precision except for ``islands``; inputs and outputs stay float32.

    Args:
        model: float32, as :func:`~evitsam_ros.tensorrt.onnx_types.load_graph` returns it.
        precision: ``fp16`` or ``bf16``; ``fp32`` returns the graph unchanged.
        islands: names of nodes that compute in float32.

    Raises:
        ValueError: the precision is unknown.
    """
    if precision == "fp32":
        return model
    if precision not in HALF:
        raise ValueError(f"precision {precision!r} is unknown; expected fp32, fp16 or bf16")
    converted = _Converter(model, HALF[precision], frozenset(islands)).run()
    # ONNX has bfloat16 convolutions from opset 22 on, which TensorRT 10.3 does not read. Its own parser
    # accepts them at any opset, so their types are not checked here.
    onnx.checker.check_model(converted, full_check=precision != "bf16")
    return converted


class _Converter:
    def __init__(self, model: ModelProto, half: int, islands: frozenset[str]) -> None:
        self.model, self.half, self.islands = model, half, islands
        self.types = element_types(model)
        self.constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self.domain: dict[str, int] = {}  # of every float value: float or half
        self.nodes: list[NodeProto] = []
        self.made: set[str] = set()
        self.initializers: dict[str, TensorProto] = {}

    def run(self) -> ModelProto:
        """Return the converted graph."""
        outputs = {value.name for value in self.model.graph.output}
        for source in self.model.graph.node:
            node = NodeProto()
            node.CopyFrom(source)
            wanted = self._precision_of(node)
            for index, name in enumerate(node.input):
                fixed = index in FIXED_INPUTS.get(node.op_type, ())
                node.input[index] = self._as(name, TensorProto.FLOAT if fixed else wanted)
            self.nodes.append(node)
            for index, name in enumerate(node.output):
                if self.types.get(name) != TensorProto.FLOAT:
                    continue
                self.domain[name] = wanted
                if name in outputs and wanted != TensorProto.FLOAT:
                    # The graph's own outputs are float32: compute under another name, cast to this one.
                    node.output[index] = f"{name}.half"
                    self.nodes.append(
                        helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT)
                    )
                    self.domain[name] = TensorProto.FLOAT
        return self._assemble()

    def _precision_of(self, node: NodeProto) -> int:
        if not is_arithmetic(node, self.types) or node.name in self.islands:
            return TensorProto.FLOAT
        return self.half

    def _as(self, name: str, wanted: int) -> str:
        """Return the name of a value in the wanted precision; the cast is made once."""
        if self.types.get(name) != TensorProto.FLOAT:
            if name in self.constants:
                self.initializers[name] = self.constants[name]
            return name
        if name in self.constants:
            return self._constant(name, wanted)
        if self.domain.get(name, TensorProto.FLOAT) == wanted:
            return name
        cast = f"{name}.{'float' if wanted == TensorProto.FLOAT else 'half'}"
        if cast not in self.made:
            self.made.add(cast)
            self.nodes.append(helper.make_node("Cast", [name], [cast], to=wanted))
        return cast

    def _constant(self, name: str, wanted: int) -> str:
        if wanted == TensorProto.FLOAT:
            self.initializers[name] = self.constants[name]
            return name
        half = f"{name}.half"
        if half not in self.initializers:
            values = numpy_helper.to_array(self.constants[name])
            self.initializers[half] = _half_tensor(values, half, wanted)
        return half

    def _assemble(self) -> ModelProto:
        model = ModelProto()
        model.CopyFrom(self.model)
        graph = model.graph
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(self.nodes)
        graph.initializer.extend(self.initializers.values())
        return model


def _half_tensor(values: np.ndarray, name: str, kind: int) -> TensorProto:
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    with np.errstate(over="ignore"):
        return numpy_helper.from_array(values.astype(dtype), name)
