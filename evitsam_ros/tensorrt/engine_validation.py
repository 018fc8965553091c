# SPDX-License-Identifier: Apache-2.0
"""Run engines on this machine, and find the first layer of an engine that differs from the float32 graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import ModelProto, TensorProto, helper

from ..backends import Network, Runtime
from ..backends.tensorrt.cuda_memory import Pool, open_cuda
from ..backends.tensorrt.engine_network import EngineNetwork
from .onnx_types import element_types
from .rounding import run_as_written

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..backends.tensorrt.api import TensorRt

#: Operators with compared outputs: layers, and operators that may leave the range of half precision.
COMPARED = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Softmax", "Pow", "ReduceMean", "Div", "Gelu")
#: A layer differs if its output has a smaller cosine with the reference's, or non-finite values.
MIN_COSINE = 0.98


def engines_runtime(tensorrt: TensorRt, engines: Mapping[str, bytes | memoryview]) -> Runtime:
    """Make a runtime of engines in memory, by network.

    Raises:
        BackendError: there are no CUDA bindings, or an engine cannot be loaded.
    """
    pool = Pool(open_cuda())
    networks = {name: EngineNetwork(tensorrt, content, name, pool) for name, content in engines.items()}
    opened = list(networks.values())

    def release() -> None:
        for network in opened:
            network.close()
        opened.clear()
        pool.close()

    return Runtime(dict(networks), f"{tensorrt.name}, just built", frozenset({"tensorrt"}), release=release)


def first_difference(
    network: str,
    reference: ModelProto,
    candidate: ModelProto,
    feed: dict[str, np.ndarray],
    open_engine: Callable[[ModelProto], Network],
) -> str:
    """Name the first layer with a different output.

    Args:
        network: its name, for the message.
        reference: the float32 graph.
        candidate: the graph of the engine; its nodes have the reference's output names.
        feed: inputs of the network.
        open_engine: builds and opens an engine of a graph.
    """
    known = {name for node in candidate.graph.node for name in node.output}
    outputs = {value.name for value in reference.graph.output}
    nodes = [
        node
        for node in reference.graph.node
        if node.op_type in COMPARED and node.output[0] in known and node.output[0] not in outputs
    ]
    names = [node.output[0] for node in nodes]
    expected = run_as_written(_with_outputs(reference, names)).run(names, feed)
    exposed = _with_outputs(candidate, names)
    order = [value.name for value in exposed.graph.output]
    found = dict(zip(order, open_engine(exposed)(feed), strict=True))
    for node, right in zip(nodes, expected, strict=True):
        difference = _difference(right, np.asarray(found[node.output[0]]))
        if difference:
            return f"the first layer to differ is {node.name} ({node.op_type}) of the {network}: {difference}"
    return f"every layer of the {network} agrees"


def _with_outputs(model: ModelProto, names: Sequence[str]) -> ModelProto:
    """Copy a graph with more values as outputs, all in float32."""
    types = element_types(model, strict=False)
    changed = ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    for name in names:
        if types.get(name) == TensorProto.FLOAT:
            graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
            continue
        # An output keeps its name, so the inner value is renamed.
        inside = f"{name}.inside"
        for node in graph.node:
            node.input[:] = [inside if n == name else n for n in node.input]
            node.output[:] = [inside if n == name else n for n in node.output]
        graph.node.append(helper.make_node("Cast", [inside], [name], to=TensorProto.FLOAT))
        graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return changed


def _difference(expected: Any, found: np.ndarray) -> str:
    broken = int((~np.isfinite(found)).sum())
    if broken:
        return f"{broken} values are not finite"
    a, b = np.asarray(expected, np.float64).ravel(), found.astype(np.float64).ravel()
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    cosine = float(a @ b / norms) if norms else float(not a.any() and not b.any())
    return "" if cosine >= MIN_COSINE else f"cosine {cosine:.4f} with float32"
