# SPDX-License-Identifier: Apache-2.0
"""Compute mask IoU, boundary IoU, and the next click of a simulated user.

All values are computed inside the boxes of the masks; they are the same as on the full image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from evitsam_ros.segment import iou

if TYPE_CHECKING:
    from collections.abc import Sequence

#: COCO's area limits in pixels: small below the first, large from the second on.
COCO_AREAS = (32**2, 96**2)
#: Size groups of masks.
GROUPS = ("all", "small", "medium", "large")
#: Width of a mask's boundary as a share of the image diagonal (Cheng et al. 2021, section 4).
BOUNDARY = 0.02


def mask_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Compute the IoU of two ``(H, W)`` bool masks; 1 for two empty ones."""
    return float(iou.mask_iou(a, b, empty=1.0))


def boundary_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Compute the boundary IoU of two ``(H, W)`` bool masks of an image; 1 for two empty ones.

    The IoU of the pixels of each mask that are near its contour (Cheng et al., "Boundary IoU: Improving
    Object-Centric Image Segmentation Evaluation", CVPR 2021).
    """
    x, y, width, height = _extent(a | b)
    box = slice(y, y + height), slice(x, x + width)
    reach = boundary_width(a.shape)
    return mask_iou(mask_boundary(a[box], reach), mask_boundary(b[box], reach))


def boundary_width(size: tuple[int, int]) -> int:
    """Return the boundary width for an image of (H, W) pixels: 2 % of the diagonal, in pixels, min 1."""
    return max(1, round(BOUNDARY * float(np.hypot(*size))))


def mask_boundary(mask: np.ndarray, width: int) -> np.ndarray:
    """Return the pixels of a ``(H, W)`` bool mask that ``width`` erosions by a 3x3 square remove, as bool.

    Pixels outside the array are background, as in the authors' code.
    """
    if not mask.size:
        return mask
    padded = np.pad(mask.astype(np.uint8), 1)
    inner = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=width)[1:-1, 1:-1]
    return mask & (inner == 0)


def size_group(area: float) -> str:
    """Return ``small``, ``medium`` or ``large`` by COCO's limits."""
    return GROUPS[1:][int(np.searchsorted(COCO_AREAS, area, side="right"))]


def next_click(
    truth: np.ndarray, prediction: np.ndarray, clicked: Sequence[tuple[float, float]] = ()
) -> tuple[tuple[float, float], int] | None:
    """Place the next click: in the middle of the larger error region.

    The rule of f-BRS (Sofiiuk et al., CVPR 2020) and RITM (Sofiiuk et al., ICIP 2022), as in the code of
    RITM: the distance transform of the missed pixels and that of the excess pixels, each separately; the
    click is at the larger maximum, and at the excess pixels where both are equal. No pixel is clicked twice.

    Args:
        truth: ``(H, W)`` bool.
        prediction: ``(H, W)`` bool; an empty one gives the first click.
        clicked: x, y of the clicks before.

    Returns:
        x, y in pixels, and 1 for a missed pixel or 0 for an excess one; None if no wrong pixel is left.
    """
    missed_depth, missed = _deepest(truth & ~prediction, clicked)
    excess_depth, excess = _deepest(prediction & ~truth, clicked)
    if max(missed_depth, excess_depth) == 0:
        return None
    return (missed, 1) if missed_depth > excess_depth else (excess, 0)


def _deepest(region: np.ndarray, clicked: Sequence[tuple[float, float]]) -> tuple[float, tuple[float, float]]:
    """Find the pixel of a bool region farthest from the borders of region and image: squared distance and x,
    y.

    Of equal ones, return the first in row-major order. The distance is 0 if all pixels are ``clicked``.
    """
    x, y, width, height = _extent(region)
    if not width:
        return 0.0, (0.0, 0.0)
    padded = np.pad(region[y : y + height, x : x + width].astype(np.uint8), 1)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    depth = np.rint(depth**2)  # OpenCV's last bit varies from pixel to pixel, and equal depths are common
    for click in clicked:
        column, row = int(click[0]) - x, int(click[1]) - y
        if 0 <= column < width and 0 <= row < height:
            depth[row, column] = 0
    row, column = (int(place) for place in np.unravel_index(depth.argmax(), depth.shape))
    return float(depth[row, column]), (float(x + column), float(y + row))


def _extent(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Return x, y, width and height of the box of a ``(H, W)`` bool mask; zeros for an empty one."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    return x, y, width, height
