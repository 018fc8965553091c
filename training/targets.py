# SPDX-License-Identifier: Apache-2.0
"""Compute AutoPPN's targets (Lite-SAM section 3.3): a heat map of distance transforms, boxes, size groups."""

from __future__ import annotations

import cv2
import numpy as np

from .losses import GROUP_EDGES


def proposal_targets(
    coverage: np.ndarray, boxes: np.ndarray, side: float, heat_target: str = "distance"
) -> tuple[np.ndarray, ...]:
    """Compute the targets of one view.

    Args:
        coverage: ``(M, h, w)`` float32 masks, one row per object.
        boxes: ``(M, 4)`` x0, y0, x1, y1 in pixels.
        side: side of the view in pixels.
        heat_target: ``distance``, the paper's, or ``gaussian``, CenterNet's peak at the centre (table 2).

    Returns:
        ``heat (h, w)`` the Euclidean distance transform of the smallest mask at a cell over that mask's
        maximum; ``distances (4, h, w)`` from the cell's centre to the left, top, right and bottom of its
        box as fractions of the side; ``group (h, w)`` int8, 0 small, 1 medium, 2 large, -1 unlabelled.
    """
    height, width = coverage.shape[1:]
    heat = np.zeros((height, width), np.float32)
    distances = np.zeros((4, height, width), np.float32)
    group = np.full((height, width), -1, np.int8)
    xs = (np.arange(width, dtype=np.float32) + 0.5) / width
    ys = (np.arange(height, dtype=np.float32) + 0.5) / height
    # The smallest of overlapping masks has priority: paint from large to small.
    for index in np.argsort(-coverage.sum((1, 2))):
        inside = coverage[index] >= 0.5
        if not inside.any():
            inside = coverage[index] >= coverage[index].max()
        x0, y0, x1, y1 = boxes[index] / side
        peak = _gaussian(xs, ys, boxes[index] / side) if heat_target == "gaussian" else _depth(inside)
        heat[inside] = peak[inside]
        size = round(float(max(x1 - x0, y1 - y0)), 6)
        group[inside] = int(size > GROUP_EDGES[0]) + int(size >= GROUP_EDGES[1])
        sides = np.broadcast_arrays(xs[None] - x0, ys[:, None] - y0, x1 - xs[None], y1 - ys[:, None])
        distances[:, inside] = np.maximum(np.stack(sides), 0)[:, inside]
    return heat, distances, group


def _depth(inside: np.ndarray) -> np.ndarray:
    """Compute the distance to the background over its maximum; outside the view is background."""
    framed = np.pad(inside.astype(np.uint8), 1)
    distance = cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    return distance / distance.max()


def _gaussian(xs: np.ndarray, ys: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Compute a Gaussian over the box, 1 in the cell of its centre; sigma is a sixth of its sides."""
    x0, y0, x1, y1 = box
    column, row = abs(xs - (x0 + x1) / 2).argmin(), abs(ys - (y0 + y1) / 2).argmin()
    across = ((xs - xs[column]) / max((x1 - x0) / 6, 1e-6)) ** 2
    down = ((ys - ys[row]) / max((y1 - y0) / 6, 1e-6)) ** 2
    return np.exp(-0.5 * (across[None] + down[:, None])).astype(np.float32)
