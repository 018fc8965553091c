# SPDX-License-Identifier: Apache-2.0
"""Logits of an image at its own resolution: overlapping tiles of the network's input size, blended."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np

from .tiles import tile_starts

if TYPE_CHECKING:
    from collections.abc import Callable

#: A tile's side divided by the cells of it that it shares with each neighbour, at least.
SHARED = 4


def needs_tiles(size: tuple[int, int], input_size: tuple[int, int]) -> bool:
    """Return whether an image of (H, W) pixels is larger than the input of a network."""
    return size[0] > input_size[0] or size[1] > input_size[1]


def tiled_logits(
    image: np.ndarray, input_size: tuple[int, int], stride: int, run: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Compute the logits of an image tile by tile.

    The image is resized to multiples of the stride, by half a stride at most, so that the cells of all tiles
    lie on one grid. Where tiles overlap, the mean of their logits is weighted: a tile's weight falls linearly
    to its border, where its network sees the least of the surroundings.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        input_size: (H, W) of a tile in pixels, multiples of ``stride``.
        stride: pixels of the image, each way, to a cell of the logits.
        run: from a part of the image, of ``input_size`` at most, to its logits ``(C, h, w)``.

    Returns:
        ``(C, h, w)`` float32.
    """
    cells = tuple(max(1, round(side / stride)) for side in image.shape[:2])
    height, width = (count * stride for count in cells)
    if (height, width) != image.shape[:2]:
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    tile = tuple(side // stride for side in input_size)
    ramps = [_ramp(side) for side in tile]
    axes = [tile_starts(count, side, _overlap(side)) for count, side in zip(cells, tile, strict=True)]
    total, weights = None, np.zeros(cells, np.float32)
    for top, left in product(*axes):
        part = image[top * stride :, left * stride :][: input_size[0], : input_size[1]]
        logits = run(np.ascontiguousarray(part))
        if total is None:
            total = np.zeros((len(logits), *cells), np.float32)
        rows, cols = slice(top, top + logits.shape[1]), slice(left, left + logits.shape[2])
        weight = np.outer(ramps[0][: logits.shape[1]], ramps[1][: logits.shape[2]])
        total[:, rows, cols] += logits * weight
        weights[rows, cols] += weight
    return cast("np.ndarray", total) / weights


def _overlap(length: int) -> int:
    """Return half of the cells that tiles share along an axis."""
    return min(-(-length // (2 * SHARED)), (length - 1) // 2)


def _ramp(length: int) -> np.ndarray:
    """Return the weight of each cell along an axis of a tile, ``(length,)`` float32 in 0..1, never 0."""
    shared = max(1, length // SHARED)
    to_border = np.minimum(np.arange(length), np.arange(length)[::-1]) + 0.5
    return np.minimum(1.0, to_border / shared).astype(np.float32)
