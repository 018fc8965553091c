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
#: The same around a guess, which may be of a part of the object, and the least side of its window: of a point
#: with less around it the decoder makes the whole window.
GUESS_MARGIN, GUESS_SIDE = 1.0, 16
#: Low-res logits along an edge of a window that a whole object may touch with: two cells.
MOST_AT_EDGE = 8
#: Logit of what lies outside of a window.
OUTSIDE = -32.0
#: Low-res logits a side of a cell.
FINE = 4


def windows_for(prompts: Sequence[Prompt], transform: Transform) -> np.ndarray:
    """``(M, 3)`` int windows: the smallest that hold the boxes with their margins.

    A prompt gets the whole image if no window holds its box, or its guess, or if it has a mask or no point:
    the region decoder takes no masks and has no box prior.
    """
    windows = np.zeros((len(prompts), 3), int)
    boxed = [i for i, p in enumerate(prompts) if p.extent is not None and len(p.points) and p.mask is None]
    if boxed:
        boxes = np.stack([prompts[i].extent for i in boxed])
        guessed = np.array([prompts[i].box is None for i in boxed])
        low, high = _with_margin(boxes, transform, np.where(guessed, GUESS_MARGIN, MARGIN)[:, None])
        needed = np.maximum((high - low).max(1), np.where(guessed, GUESS_SIDE, 0))
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
    """Masks of windows' cells ``(B, 16 * side * side)`` -> low-res logits of the image ``(B, h, w)``."""
    placed = np.full((len(masks), *transform.mask_size), OUTSIDE, np.float32)
    if not len(masks):
        return placed
    side = int(windows[0, 2])
    fine = masks.reshape(-1, side, side, 2, 2, 2, 2).transpose(0, 1, 3, 5, 2, 4, 6)
    fine = fine.reshape(-1, FINE * side, FINE * side)
    for target, mask, (top, left) in zip(placed, fine, FINE * windows[:, :2], strict=True):
        target[top : top + FINE * side, left : left + FINE * side] = mask
    return placed


def cut_off(logits: np.ndarray, windows: np.ndarray, transform: Transform) -> np.ndarray:
    """``(M,)`` bool: which masks ``(M, h, w)`` run along an edge of their window inside of the picture.

    Their objects go on beyond it. SAM's generator drops masks at the edges of its crops likewise.
    """
    height, width = transform.visible_cells
    cut = np.zeros(len(logits), bool)
    for index, (top, left, side) in enumerate(FINE * windows):
        if not side:
            continue
        bottom, right = top + side, left + side
        part = logits[index, top:bottom, left:right] > 0
        edges = (
            (top, 0, part[0]),
            (left, 0, part[:, 0]),
            (height, bottom, part[-1]),
            (width, right, part[:, -1]),
        )
        cut[index] = any(beyond > edge and line.sum() > MOST_AT_EDGE for beyond, edge, line in edges)
    return cut


def _grid(transform: Transform) -> tuple[int, int]:
    """(h, w) of the embedding."""
    height, width = transform.mask_size
    return height // FINE, width // FINE


def _with_margin(
    boxes: np.ndarray, transform: Transform, share: np.ndarray | float = MARGIN
) -> tuple[np.ndarray, np.ndarray]:
    """First and last edges x, y in whole cells, ``(M, 2)`` each, of boxes in pixels with their margins."""
    scale = np.tile(FINE * transform.pixels_per_cell, 2)
    low, high = np.split(boxes / scale, 2, axis=1)
    margin = np.maximum(share * (high - low), 1.0)
    height, width = _grid(transform)
    return np.maximum(np.floor(low - margin), 0), np.minimum(np.ceil(high + margin), (width, height))
