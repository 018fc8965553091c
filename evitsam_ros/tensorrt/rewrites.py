# SPDX-License-Identifier: Apache-2.0
"""Rewrite a graph without islands: the same functions, scaled into the range of half precision.

Layer normalisation does not change if its input is scaled, nor does ReLU linear attention if its keys are:
both divide by the scaled value. A power of two costs no precision. Float32 outputs agree up to rounding;
half-precision outputs are measured as for any other graph.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, helper, numpy_helper

#: Max absolute value of a scaled normalisation input: its squares stay far from 65504 and from 0.
ROOM = 16.0
#: Replaces the epsilon 1e-15 of the attention's normaliser, which is 0 in half precision.
EPSILON = 1e-6


def rewrite(model: ModelProto, largest: dict[str, float]) -> ModelProto:
    """Scale the inputs of layer normalisations and the keys of linear attention.

    Args:
        model: float32, as :func:`~evitsam_ros.tensorrt.onnx_types.load_graph` returns it.
        largest: largest absolute output by node name, as measured.
    """
    changed = ModelProto()
    changed.CopyFrom(model)
    graph = _Graph(changed)
    for node in list(changed.graph.node):
        if node.op_type == "Pow":
            _scale_norm(graph, node, largest)
        elif node.op_type == "ReduceSum":
            _scale_keys(graph, node)
    graph.sort()
    onnx.checker.check_model(changed, full_check=True)
    return changed


class _Graph:
    def __init__(self, model: ModelProto) -> None:
        self.graph = model.graph
        inferred = onnx.shape_inference.infer_shapes(model).graph
        self.shapes = {
            v.name: [d.dim_value for d in v.type.tensor_type.shape.dim]
            for v in (*inferred.value_info, *inferred.input)
        }
        self.made_by = {name: node for node in model.graph.node for name in node.output}
        self.constants = {tensor.name: tensor for tensor in model.graph.initializer}

    def users(self, name: str) -> list[NodeProto]:
        """Return the nodes that read a value."""
        return [node for node in self.graph.node if name in node.input]

    def value(self, name: str) -> np.ndarray | None:
        """Return a constant; None if the value is not constant."""
        return numpy_helper.to_array(self.constants[name]) if name in self.constants else None

    def constant(self, name: str, value: float) -> str:
        """Add a scalar constant; return its name."""
        tensor = numpy_helper.from_array(np.array(value, np.float32), name)
        self.graph.initializer.append(tensor)
        self.constants[name] = tensor
        return name

    def scaled(self, name: str, factor: float) -> str:
        """Insert a node that multiplies a value, before all its consumers; return the name of the product."""
        output = f"{name}.scaled"
        users = self.users(name)
        node = helper.make_node(
            "Mul", [name, self.constant(f"{name}.scale", factor)], [output], f"{name}/scale"
        )
        for user in users:
            user.input[:] = [output if n == name else n for n in user.input]
        self.graph.node.append(node)
        return output

    def sort(self) -> None:
        """Put every inserted node directly behind the node that makes its input."""
        ordered: list[NodeProto] = []
        added = {node.input[0]: node for node in self.graph.node if node.name.endswith("/scale")}
        for node in self.graph.node:
            if node.name.endswith("/scale"):
                continue
            ordered.append(node)
            ordered += [added[name] for name in node.output if name in added]
        del self.graph.node[:]
        self.graph.node.extend(ordered)


def _scale_norm(graph: _Graph, power: NodeProto, largest: dict[str, float]) -> None:
    """Scale x in ``x - mean(x)``, squared, averaged, plus epsilon; and epsilon by the square."""
    centred = graph.made_by.get(power.input[0])
    if centred is None or centred.op_type != "Sub":
        return
    source, mean = centred.input[0], graph.made_by.get(centred.input[1])
    variance = next((n for n in graph.users(power.output[0]) if n.op_type == "ReduceMean"), None)
    added = variance and next((n for n in graph.users(variance.output[0]) if n.op_type == "Add"), None)
    if mean is None or mean.op_type != "ReduceMean" or not added:
        return
    max_output = largest.get(graph.made_by[source].name, 0.0) if source in graph.made_by else 0.0
    epsilon = next((n for n in added.input if graph.value(n) is not None), None)
    value = None if epsilon is None else graph.value(epsilon)
    if max_output <= ROOM or epsilon is None or value is None or value.size != 1:
        return
    factor = 2.0 ** -np.ceil(np.log2(max_output / ROOM))
    small = graph.constant(f"{added.name}.epsilon", float(value.item()) * factor**2)
    added.input[:] = [small if n == epsilon else n for n in added.input]
    graph.scaled(source, float(factor))


def _scale_keys(graph: _Graph, total: NodeProto) -> None:
    """Divide the keys after their ReLU by N, as they are summed over N positions for the normaliser."""
    keys = graph.made_by.get(total.input[0])
    if keys is None or keys.op_type != "Relu" or not graph.shapes.get(keys.output[0]):
        return
    positions = graph.shapes[keys.output[0]][-1]
    if not positions:
        return
    for node in graph.graph.node:
        tiny = [
            n for n in node.input if (v := graph.value(n)) is not None and v.size == 1 and 0 < v.item() < 1e-9
        ]
        if node.op_type == "Add" and tiny:
            larger = graph.constant(f"{node.name}.epsilon", EPSILON)
            node.input[:] = [larger if n in tiny else n for n in node.input]
    graph.scaled(keys.output[0], float(2.0 ** -np.ceil(np.log2(positions))))
