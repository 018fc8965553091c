# SPDX-License-Identifier: Apache-2.0
"""Draw the objects' ids into an overlay, each where its object has room for it."""

from __future__ import annotations

import cv2
import numpy as np

FONT = cv2.FONT_HERSHEY_SIMPLEX
#: Height of a digit in pixels of the image: min, and max as a share of the image's shorter side.
MIN_HEIGHT, MAX_SHARE = 9, 1 / 20
#: Longest side of the label map in which places are searched.
MAX_SIDE = 400


def draw_numbers(image: np.ndarray, labels: np.ndarray) -> list[int]:
    """Draw the id of each object in the middle of its widest part; objects without room get none.

    Args:
        image: ``(H, W, 3)`` uint8 RGB, drawn on.
        labels: ``(H, W)`` label map, 0 background.

    Returns:
        The ids that were drawn.
    """
    drawn = []
    tallest = max(MIN_HEIGHT, round(min(labels.shape) * MAX_SHARE))
    for identity, (x, y, radius) in widest_places(labels).items():
        text = str(identity)
        for height in (tallest, (tallest + MIN_HEIGHT) // 2, MIN_HEIGHT):
            scale = cv2.getFontScaleFromHeight(FONT, height, 1)
            thickness = max(1, height // 10)
            (width, tall), _ = cv2.getTextSize(text, FONT, scale, thickness)
            if np.hypot(width, tall) / 2 + thickness <= radius:
                corner = (round(x - width / 2), round(y + tall / 2))
                cv2.putText(image, text, corner, FONT, scale, (0, 0, 0), thickness + 2, cv2.LINE_AA)
                cv2.putText(image, text, corner, FONT, scale, (255, 255, 255), thickness, cv2.LINE_AA)
                drawn.append(identity)
                break
    return drawn


def widest_places(labels: np.ndarray) -> dict[int, tuple[float, float, float]]:
    """Return by id x, y and radius, in pixels, of the largest disc inside each object's visible part."""
    height, width = labels.shape
    step = -(-max(height, width) // MAX_SIDE)
    small = np.pad(labels[::step, ::step], 1)
    inside = small > 0
    for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        differs = small[one] != small[other]
        inside[one] &= ~differs
        inside[other] &= ~differs
    distances = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5)
    rows, columns = np.nonzero(inside)
    ids, reach = small[rows, columns], distances[rows, columns]
    order = np.lexsort((reach, ids))
    last = order[np.append(ids[order][1:] != ids[order][:-1], True)] if len(order) else order
    return {
        int(ids[i]): (
            float(columns[i] - 1) * step + step / 2,
            float(rows[i] - 1) * step + step / 2,
            float(reach[i]) * step,
        )
        for i in last
    }
