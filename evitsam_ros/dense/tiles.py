# SPDX-License-Identifier: Apache-2.0
"""Overlapping tiles that cover an image."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def tile_starts(length: int, tile: int, overlap: int) -> list[int]:
    """Where tiles begin along an axis: the last one ends with the image; one where the image is shorter."""
    step = tile - 2 * overlap
    starts = list(range(0, max(1, length - tile + 1), step))
    if starts[-1] + tile < length:
        starts.append(length - tile)
    return starts


def kept_parts(length: int, tile: int, overlap: int) -> Iterator[tuple[int, int, int]]:
    """Yield the start of each tile and the part of the axis, from and to, that its answer is kept for.

    The parts cover the axis once. Their borders are in the middle of the overlap of two tiles, ``overlap``
    pixels or more from the border of each.
    """
    starts = tile_starts(length, tile, overlap)
    borders = [(start + tile + following) // 2 for start, following in pairwise(starts)]
    yield from zip(starts, [0, *borders], [*borders, length], strict=True)
