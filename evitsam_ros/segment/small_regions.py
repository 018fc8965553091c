# SPDX-License-Identifier: Apache-2.0
"""Remove small holes and specks from masks, at low resolution.

SAM's mask generator does so on full-size masks (``min_mask_region_area``), which costs more than the decoder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from .transform import Transform


def clean_masks(logits: np.ndarray, transform: Transform, share: float) -> None:
    """Remove small regions of ``(M, h, w)`` logits in place, without looking at the padding."""
    height, width = transform.visible_cells
    logits[:, :height, :width] = remove_small_regions(logits[:, :height, :width], share)


def remove_small_regions(logits: np.ndarray, share: float) -> np.ndarray:
    """Fill holes and drop specks that are small beside their mask.

    A region is a set of cells of one sign that touch, by sides for holes and by corners too for specks. The
    largest region of a mask always stays, and so does the largest region of the background.

    Args:
        logits: ``(M, h, w)`` float32 low-res logits without padding; inside is > 0.
        share: a region smaller than this share of its mask's area is removed; 0 removes none.

    Returns:
        ``(M, h, w)`` float32: removed regions have the opposite sign. The input if there are none.
    """
    if share <= 0 or not len(logits):
        return logits
    cleaned = logits
    for index, mask in enumerate(logits):
        inside = (mask > 0).view(np.uint8)
        limit = share * np.count_nonzero(inside)
        wrong = _small(inside, limit, connectivity=8) | _small(1 - inside, limit, connectivity=4)
        if wrong.any():
            if cleaned is logits:
                cleaned = logits.copy()
            np.negative(mask, out=cleaned[index], where=wrong)
    return cleaned


def _small(cells: np.ndarray, limit: float, connectivity: int) -> np.ndarray:
    """``(h, w)`` bool: regions of ``cells (h, w)`` uint8 with fewer cells than ``limit``, but the largest."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(cells, connectivity=connectivity)
    if count <= 2:  # the background and at most one region
        return np.zeros(cells.shape, bool)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = areas.max() + 1
    small = areas < limit
    small[1 + areas[1:].argmax()] = False
    return np.asarray(small[labels])
