# SPDX-License-Identifier: Apache-2.0
"""Engines that this machine can run: run them, and where their masks differ find the layer that began it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper

from ..backends import Network, Runtime
from ..backends.tensorrt.api import TensorRt
from ..backends.tensorrt.cuda_memory import Pool, open_cuda
from ..backends.tensorrt.engine_network import EngineNetwork
from .onnx_types import element_types
from .rounding import run_as_written

#: Operators whose outputs are compared: layers, and what leaves the range of half precision.
COMPARED = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Softmax", "Pow", "ReduceMean", "Div", "Gelu")
#: A layer differs whose output has less cosine than this with the reference's, or values that are not finite.
LEAST_COSINE = 0.98


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
    """Name the first layer whose output differs.

    Args:
        network: for the message.
        reference: the float32 graph.
        candidate: the graph that the engine is built from; its nodes have the reference's output names.
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
    wanted = run_as_written(_with_outputs(reference, names)).run(names, feed)
    exposed = _with_outputs(candidate, names)
    order = [value.name for value in exposed.graph.output]
    found = dict(zip(order, open_engine(exposed)(feed), strict=True))
    for node, right in zip(nodes, wanted, strict=True):
        said = _difference(right, np.asarray(found[node.output[0]]))
        if said:
            return f"the first layer to differ is {node.name} ({node.op_type}) of the {network}: {said}"
    return f"every layer of the {network} agrees"


def _with_outputs(model: ModelProto, names: Sequence[str]) -> ModelProto:
    """Copy a graph with further values as outputs, float32 whatever they are inside."""
    types = element_types(model, strict=False)
    changed = ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    for name in names:
        if types.get(name) == TensorProto.FLOAT:
            graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
            continue
        # An output keeps its name, so it is the value inside that gets another one.
        inside = f"{name}.inside"
        for node in graph.node:
            node.input[:] = [inside if n == name else n for n in node.input]
            node.output[:] = [inside if n == name else n for n in node.output]
        graph.node.append(helper.make_node("Cast", [inside], [name], to=TensorProto.FLOAT))
        graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return changed


def _difference(wanted: Any, found: np.ndarray) -> str:
    broken = int((~np.isfinite(found)).sum())
    if broken:
        return f"{broken} values are not finite"
    a, b = np.asarray(wanted, np.float64).ravel(), found.astype(np.float64).ravel()
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    cosine = float(a @ b / norms) if norms else float(not a.any() and not b.any())
    return "" if cosine >= LEAST_COSINE else f"cosine {cosine:.4f} with float32"
