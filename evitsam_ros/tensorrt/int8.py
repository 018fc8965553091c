# SPDX-License-Identifier: Apache-2.0
"""Quantise convolutions to int8: symmetric signed inputs and weights, calibrated on real frames.

TensorRT takes precision from the graph: QuantizeLinear and DequantizeLinear precede a convolution, and it
fuses the three into one int8 kernel. The rest of the network becomes half precision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from .onnx_types import element_types
from .rounding import run_as_written

if TYPE_CHECKING:
    from collections.abc import Iterable

#: int8 without -128, so that the scale is the same on both sides (TensorRT's S8).
STEPS = 127
#: The smallest positive float16.
SMALLEST_SCALE = np.float16(2.0**-24)
#: Share of the values of a frame that may be clipped at the ends of a tensor's range.
CLIPPED = 1e-4
#: Max number of tensors that leave a session together: at 1024 pixels one may have 400 MB.
MAX_OUTPUTS_PER_RUN = 8


def quantizable(model: ModelProto) -> list[NodeProto]:
    """List the convolutions with constant weights, in order.

    The first one, which sees the pixels, stays float. So do depthwise ones: memory bounds them, not
    arithmetic, and their channels differ most in range (with them the shipped model's masks agreed by 0.944,
    not 0.981).
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    found = [n for n in model.graph.node if n.op_type == "Conv" and n.input[1] in constants]
    return [node for node in found[1:] if _groups(node) == 1]


def _groups(node: NodeProto) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)


def calibrate(model: ModelProto, feeds: Iterable[dict[str, np.ndarray]]) -> dict[str, float]:
    """Measure the range of every convolution's input: the largest upper quantile of its magnitude."""
    names_to_measure = list(dict.fromkeys(node.input[0] for node in quantizable(model)))
    feeds, ranges = list(feeds), dict.fromkeys(names_to_measure, 0.0)
    for start in range(0, len(names_to_measure), MAX_OUTPUTS_PER_RUN):
        names = names_to_measure[start : start + MAX_OUTPUTS_PER_RUN]
        session = run_as_written(_with_outputs(model, names))
        for feed in feeds:
            for name, value in zip(names, session.run(names, feed), strict=True):
                magnitude = np.abs(value).ravel()
                last = max(0, int(magnitude.size * (1 - CLIPPED)) - 1)
                ranges[name] = max(ranges[name], float(np.partition(magnitude, last)[last]))
    return ranges


def _with_outputs(model: ModelProto, names: list[str]) -> ModelProto:
    changed = ModelProto()
    changed.CopyFrom(model)
    known = {value.name for value in changed.graph.output}
    more = [name for name in names if name not in known]
    changed.graph.output.extend(helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in more)
    return changed


def quantize(model: ModelProto, ranges: dict[str, float]) -> ModelProto:
    """Insert Q/DQ before every convolution: one scale per input, one per output channel of the weights.

    Args:
        model: float32.
        ranges: from :func:`calibrate`.
    """
    chosen = {node.name for node in quantizable(model)}
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    changed = ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    nodes: list[NodeProto] = []
    made: set[str] = set()
    for node in graph.node:
        if node.name in chosen:
            activation, weight = node.input[0], node.input[1]
            if activation not in made:
                made.add(activation)
                scale = _scales(np.array(ranges[activation], np.float64))
                nodes += _pair(graph, activation, f"{activation}.q8", scale)
            if weight not in made:
                made.add(weight)
                nodes += _weights(graph, constants[weight])
            node.input[0], node.input[1] = f"{activation}.q8", f"{weight}.q8"
        nodes.append(node)
    kept = [NodeProto() for _ in nodes]
    for copy, node in zip(kept, nodes, strict=True):
        copy.CopyFrom(node)
    del graph.node[:], graph.value_info[:]
    graph.node.extend(kept)
    used = {name for node in graph.node for name in node.input}
    tensors = [TensorProto.FromString(t.SerializeToString()) for t in graph.initializer if t.name in used]
    del graph.initializer[:]
    graph.initializer.extend(tensors)
    element_types(changed)  # strict: every type has to fit
    return changed


def _scales(largest: np.ndarray) -> np.ndarray:
    """Return float32 scales for values up to ``largest``, rounded up to positive values of float16.

    The network becomes float16, and its scales with it. TensorRT's builder rejects a scale of zero, and
    rounding a scale after the quantisation would scale a whole channel wrongly.
    """
    scale = largest / STEPS
    half = np.maximum(scale.astype(np.float16), SMALLEST_SCALE)
    above = np.nextafter(half, np.float16(np.inf))
    return np.where(half.astype(np.float64) < scale, above, half).astype(np.float32)


def _pair(graph, source: str, result: str, scale: np.ndarray) -> list[NodeProto]:
    graph.initializer.append(numpy_helper.from_array(np.asarray(scale), f"{result}.scale"))
    graph.initializer.append(numpy_helper.from_array(np.array(0, np.int8), f"{result}.zero"))
    scales = [f"{result}.scale", f"{result}.zero"]
    return [
        helper.make_node("QuantizeLinear", [source, *scales], [f"{result}.int"], name=f"{result}.quantize"),
        helper.make_node(
            "DequantizeLinear", [f"{result}.int", *scales], [result], name=f"{result}.dequantize"
        ),
    ]


def _weights(graph, tensor: TensorProto) -> list[NodeProto]:
    """Make the weights int8 constants with a scale an output channel."""
    values = numpy_helper.to_array(tensor)
    largest = np.abs(values).reshape(len(values), -1).max(1)
    scale = _scales(largest)
    shape = (-1, *[1] * (values.ndim - 1))
    whole = np.clip(np.round(values / scale.reshape(shape)), -STEPS, STEPS).astype(np.int8)
    name = f"{tensor.name}.q8"
    graph.initializer.append(numpy_helper.from_array(whole, f"{name}.int"))
    graph.initializer.append(numpy_helper.from_array(scale, f"{name}.scale"))
    graph.initializer.append(numpy_helper.from_array(np.zeros(len(values), np.int8), f"{name}.zero"))
    inputs = [f"{name}.int", f"{name}.scale", f"{name}.zero"]
    return [helper.make_node("DequantizeLinear", inputs, [name], name=f"{name}.dequantize", axis=0)]
