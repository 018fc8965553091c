# SPDX-License-Identifier: Apache-2.0
"""Mask IoU, and SAM's way of clicking ("Segment Anything", section 7.1 and appendix D.1)."""

from __future__ import annotations

import cv2
import numpy as np

#: COCO's area limits in pixels: small below the first, large from the second on.
COCO_AREAS = (32**2, 96**2)


def mask_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two ``(H, W)`` bool masks; 1 for two empty ones."""
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 1.0


def size_group(area: float) -> str:
    """``small``, ``medium`` or ``large`` by COCO's limits."""
    return ("small", "medium", "large")[int(np.searchsorted(COCO_AREAS, area, side="right"))]


def central_point(region: np.ndarray) -> tuple[float, float]:
    """x, y of the pixel of a ``(H, W)`` bool region that is farthest from its border (the image's too)."""
    distance = cv2.distanceTransform(np.pad(region.astype(np.uint8), 1), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    row, col = np.unravel_index(distance[1:-1, 1:-1].argmax(), region.shape)
    return float(col), float(row)


def next_click(truth: np.ndarray, prediction: np.ndarray) -> tuple[tuple[float, float], int] | None:
    """The next click: the most central point of the larger error, 1 if it was missed, 0 if it is too much."""
    missed, excess = truth & ~prediction, prediction & ~truth
    if not missed.any() and not excess.any():
        return None
    depths = [
        cv2.distanceTransform(np.pad(region.astype(np.uint8), 1), cv2.DIST_L2, 5).max()
        for region in (missed, excess)
    ]
    label = int(depths[0] >= depths[1])
    return central_point(missed if label else excess), label
