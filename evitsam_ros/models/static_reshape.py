# SPDX-License-Identifier: Apache-2.0
"""Reshapes that stay constants in an exported graph.

Tracing ``x.reshape(x.shape[0], ...)`` gives the ONNX graph a shape tensor, on which TensorRT builds have
failed for years. ONNX has a constant for it: 0 keeps an axis, -1 takes the remaining axes.
"""

from __future__ import annotations

import torch
from torch import Tensor


def reshape(x: Tensor, *shape: int) -> Tensor:
    """Reshape where 0 keeps the axis of that place and one -1 takes the rest."""
    if torch.onnx.is_in_onnx_export():
        return _ConstantReshape.apply(x, shape)
    return _eager(x, shape)


def _eager(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    return x.reshape([x.shape[axis] if size == 0 else size for axis, size in enumerate(shape)])


class _ConstantReshape(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        return _eager(x, shape)

    @staticmethod
    def symbolic(g, x, shape):
        # The exporter's shape inference trips over a 0 without a -1: the first kept axis takes the rest.
        constant = list(shape)
        if -1 not in constant:
            constant[constant.index(0)] = -1
        return g.op("Reshape", x, g.op("Constant", value_t=torch.tensor(constant, dtype=torch.int64)))
