# SPDX-License-Identifier: Apache-2.0
"""Fold constants of a graph into initializers, and infer the element type of every value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from pathlib import Path


def load_graph(path: Path) -> ModelProto:
    """Load a network; constants become float32 initializers, however they are stored.

    Raises:
        ValueError: the file is not an ONNX graph.
    """
    try:
        model = onnx.load(str(path))
    except Exception as error:
        raise ValueError(f"{path}: cannot be read as ONNX ({error})") from error
    return fold_constants(model)


def fold_constants(model: ModelProto) -> ModelProto:
    """Turn Constant nodes, and stored constants behind a Cast or a Transpose, into initializers."""
    graph = model.graph
    known = {tensor.name: tensor for tensor in graph.initializer}
    kept = []
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            tensor = TensorProto()
            tensor.CopyFrom(node.attribute[0].t)
        elif node.op_type == "Cast" and node.input[0] in known:
            to = helper.get_node_attr_value(node, "to")
            array = numpy_helper.to_array(known[node.input[0]])
            tensor = numpy_helper.from_array(array.astype(helper.tensor_dtype_to_np_dtype(to)))
        elif node.op_type == "Transpose" and node.input[0] in known:
            array = numpy_helper.to_array(known[node.input[0]])
            order = helper.get_node_attr_value(node, "perm")
            tensor = numpy_helper.from_array(np.ascontiguousarray(array.transpose(order)))
        else:
            kept.append(node)
            continue
        tensor.name = node.output[0]
        known[tensor.name] = tensor
    used = {name for node in kept for name in node.input}
    del graph.node[:], graph.initializer[:]
    graph.node.extend(kept)
    graph.initializer.extend(tensor for name, tensor in known.items() if name in used)
    return model


def element_types(model: ModelProto, *, strict: bool = True) -> dict[str, int]:
    """Return the element type (``TensorProto.DataType``) of every named value.

    If not strict, values of unknown type are left out.
    """
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=strict).graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        types[value.name] = value.type.tensor_type.elem_type
    return types
