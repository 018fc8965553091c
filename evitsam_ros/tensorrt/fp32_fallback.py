# SPDX-License-Identifier: Apache-2.0
"""Choose the nodes that stay in float32: those that break in half precision, and the nodes before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .onnx_types import element_types
from .precision import is_arithmetic

if TYPE_CHECKING:
    from collections.abc import Iterable

    from onnx import ModelProto, NodeProto

    from .rounding import NodeError

#: A node with a larger error by itself (relative L2) stays in float32. Rounding alone causes 2e-4 to 5e-4 in
#: fp16, and eight times as much in bf16.
LIMITS = {"fp16": 2e-3, "bf16": 8e-3}
#: Operators that TensorRT's builder does not have in a precision.
NOT_BUILT = {"fp16": (), "bf16": ("ConvTranspose",)}
#: A node with a larger weight is a layer: an island does not grow beyond it.
LAYER = 4096


def choose_islands(model: ModelProto, errors: Iterable[NodeError], precision: str) -> frozenset[str]:
    """Return the names of the nodes that compute in float32.

    A node that breaks or errs is the core of an island. The nodes before it join, back to the last layer with
    weights: the sine of a coordinate is right only if the coordinate is, and a sum that overflows has to be
    float32 from its first factor on. Single half-precision nodes within an island join it.
    """
    limit = LIMITS[precision]
    cores = {e.name for e in errors if e.broken or not np.isfinite(e.error) or e.error > limit}
    graph = _Graph(model)
    chosen = set(cores)
    waiting = [node for node in model.graph.node if node.name in cores]
    while waiting:
        for producer in graph.producers(waiting.pop()):
            if producer.name not in chosen and not graph.is_layer(producer):
                chosen.add(producer.name)
                waiting.append(producer)
    chosen |= {node.name for node in model.graph.node if node.op_type in NOT_BUILT[precision]}
    for node in model.graph.node:
        before, after = graph.producers(node), graph.consumers(node)
        if before and after and all(other.name in chosen for other in (*before, *after)):
            chosen.add(node.name)
    return frozenset(chosen)


class _Graph:
    def __init__(self, model: ModelProto) -> None:
        self.types = element_types(model)
        self.sizes = {t.name: int(np.prod(t.dims)) for t in model.graph.initializer}
        self.made_by = {name: node for node in model.graph.node for name in node.output}
        self.used_by: dict[str, list[NodeProto]] = {}
        for node in model.graph.node:
            for name in node.input:
                self.used_by.setdefault(name, []).append(node)

    def producers(self, node: NodeProto) -> list[NodeProto]:
        found = [self.made_by[name] for name in node.input if name in self.made_by]
        return [producer for producer in found if is_arithmetic(producer, self.types)]

    def consumers(self, node: NodeProto) -> list[NodeProto]:
        found = [user for name in node.output for user in self.used_by.get(name, [])]
        return [user for user in found if is_arithmetic(user, self.types)]

    def is_layer(self, node: NodeProto) -> bool:
        return any(self.sizes.get(name, 0) > LAYER for name in node.input)
