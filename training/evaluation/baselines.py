# SPDX-License-Identifier: Apache-2.0
"""Predict masks from a box without a network: baselines that a trained model has to exceed."""

from __future__ import annotations

import cv2
import numpy as np


def filled_box(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return the box itself, ``(H, W)`` bool."""
    height, width = image.shape[:2]
    ys, xs = np.mgrid[:height, :width] + 0.5
    return (xs > box[0]) & (xs < box[2]) & (ys > box[1]) & (ys < box[3])


def inscribed_ellipse(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return the ellipse that touches the box's four sides, ``(H, W)`` bool."""
    height, width = image.shape[:2]
    ys, xs = np.mgrid[:height, :width] + 0.5
    centre, half = (box[:2] + box[2:]) / 2, np.maximum((box[2:] - box[:2]) / 2, 0.5)
    return ((xs - centre[0]) / half[0]) ** 2 + ((ys - centre[1]) / half[1]) ** 2 <= 1


def grabcut(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Run OpenCV's GrabCut, three iterations from the box, ``(H, W)`` bool."""
    height, width = image.shape[:2]
    x0, y0 = np.floor(box[:2]).astype(int)
    x1, y1 = np.ceil(box[2:]).astype(int)
    rectangle = (max(x0, 0), max(y0, 0), min(x1, width) - max(x0, 0), min(y1, height) - max(y0, 0))
    mask = np.zeros((height, width), np.uint8)
    models = np.zeros((2, 1, 65))
    try:
        cv2.grabCut(image, mask, rectangle, models[0], models[1], 3, cv2.GC_INIT_WITH_RECT)
    except cv2.error:  # the box covers the image: no background to learn from
        return filled_box(image, box)
    return (mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)


BASELINES = {"box filled": filled_box, "inscribed ellipse": inscribed_ellipse, "GrabCut": grabcut}
