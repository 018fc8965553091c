# SPDX-License-Identifier: Apache-2.0
"""Where in the embedding a prompt's mask can lie: square windows of cells around its box.

A window is ``(top, left, side)`` in cells of the embedding; side 0 stands for the whole image. There are few
sides, so that many prompts share a decoder call.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .prompt import Prompt
from .transform import Transform

#: Sides of windows, in cells.
SIDES = (8, 12, 16, 24, 32)
#: What a window has around the box: this share of the box's side, and no less than a cell.
MARGIN = 0.25
#: Logit of what lies outside of a window.
OUTSIDE = -32.0
#: Low-res logits a side of a cell.
FINE = 4


def windows_for(prompts: Sequence[Prompt], transform: Transform) -> np.ndarray:
    """``(M, 3)`` int windows: the smallest that hold the boxes with their margins.

    A prompt gets the whole image if no window holds its box, or if it has a mask or no point beside its box:
    the region decoder takes no masks and has no box prior.
    """
    windows = np.zeros((len(prompts), 3), int)
    boxed = [i for i, p in enumerate(prompts) if p.box is not None and len(p.points) and p.mask is None]
    if boxed:
        boxes = np.stack([prompts[i].box for i in boxed])
        low, high = _with_margin(boxes, transform)
        needed = (high - low).max(1)
        places = np.searchsorted(SIDES, needed)
        for index, side in enumerate(SIDES):
            chosen = np.flatnonzero(places == index)
            if len(chosen) and side < max(_grid(transform)):
                windows[np.array(boxed)[chosen]] = windows_of(boxes[chosen], transform, side)
    return windows


def windows_of(boxes: np.ndarray, transform: Transform, side: int) -> np.ndarray:
    """Windows of one side around the middles of ``(M, 4)`` boxes in pixels, within the embedding."""
    low, high = _with_margin(boxes, transform)
    height, width = _grid(transform)
    corner = np.rint((low + high - side) / 2).astype(int)
    left, top = np.clip(corner, 0, (width - side, height - side)).T
    return np.stack([top, left, np.full(len(boxes), side)], axis=1)


def cells_of(windows: np.ndarray, transform: Transform) -> np.ndarray:
    """``(B, side * side)`` int32 numbers of the cells of windows that all have one side, row by row."""
    side, width = int(windows[0, 2]), _grid(transform)[1]
    within = np.arange(side)[:, None] * width + np.arange(side)
    return (windows[:, :1] * width + windows[:, 1:2] + within.reshape(1, -1)).astype(np.int32)


def place_masks(masks: np.ndarray, windows: np.ndarray, transform: Transform) -> np.ndarray:
    """Masks of cells ``(B, M, 16 * side * side)`` -> low-res logits of the whole image ``(B, M, h, w)``."""
    count, depth, side = *masks.shape[:2], int(windows[0, 2])
    fine = masks.reshape(count, depth, side, side, 2, 2, 2, 2).transpose(0, 1, 2, 4, 6, 3, 5, 7)
    fine = fine.reshape(count, depth, FINE * side, FINE * side)
    placed = np.full((count, depth, *transform.mask_size), OUTSIDE, np.float32)
    for target, mask, (top, left) in zip(placed, fine, FINE * windows[:, :2], strict=True):
        target[:, top : top + FINE * side, left : left + FINE * side] = mask
    return placed


def _grid(transform: Transform) -> tuple[int, int]:
    """(h, w) of the embedding."""
    height, width = transform.mask_size
    return height // FINE, width // FINE


def _with_margin(boxes: np.ndarray, transform: Transform) -> tuple[np.ndarray, np.ndarray]:
    """First and last edges x, y in whole cells, ``(M, 2)`` each, of boxes in pixels with their margins."""
    scale = np.tile(FINE * transform.pixels_per_cell, 2)
    low, high = np.split(boxes / scale, 2, axis=1)
    margin = np.maximum(MARGIN * (high - low), 1.0)
    height, width = _grid(transform)
    return np.maximum(np.floor(low - margin), 0), np.minimum(np.ceil(high + margin), (width, height))
