# SPDX-License-Identifier: Apache-2.0
"""Square windows of a map, as window attention takes them; no shape tensor reaches an exported graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

from .static_reshape import reshape

if TYPE_CHECKING:
    from torch import Tensor


def to_windows(x: Tensor, side: int) -> Tensor:
    """``(B, H, W, C)`` -> ``(B * n, side, side, C)``, row by row; zeros fill up what lies outside."""
    height, width, channels = (int(length) for length in x.shape[1:])
    if height % side or width % side:
        x = F.pad(x, (0, 0, 0, -width % side, 0, -height % side))
    rows, columns = -(-height // side), -(-width // side)
    x = reshape(x, 0, rows, side, columns, side, channels).permute(0, 1, 3, 2, 4, 5)
    return reshape(x, -1, side, side, channels)


def from_windows(x: Tensor, height: int, width: int) -> Tensor:
    """The inverse of :func:`to_windows`: ``(B * n, side, side, C)`` -> ``(B, height, width, C)``."""
    side, channels = int(x.shape[1]), int(x.shape[3])
    rows, columns = -(-height // side), -(-width // side)
    x = reshape(x, -1, rows, columns, side, side, channels).permute(0, 1, 3, 2, 4, 5)
    x = reshape(x, -1, rows * side, columns * side, channels)
    return x[:, :height, :width] if height % side or width % side else x
