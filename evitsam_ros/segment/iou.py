# SPDX-License-Identifier: Apache-2.0
"""Intersection over union of masks, classes and boxes: the one place where it is computed."""

from __future__ import annotations

import numpy as np

#: Smallest union of two boxes that is divided by, square pixels.
EPSILON = 1e-9


def mask_overlap(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count the cells of intersection and union, pair by pair.

    Args:
        first: ``(..., h, w)`` bool.
        second: of the same shape.

    Returns:
        Two ``(...)`` int arrays.
    """
    # Without axes NumPy counts several times faster.
    axes = (-2, -1) if first.ndim > 2 else None
    both = np.count_nonzero(first & second, axis=axes)
    return np.asarray(both), np.asarray(np.count_nonzero(first | second, axis=axes))


def mask_iou(first: np.ndarray, second: np.ndarray, empty: float = 0.0) -> np.ndarray:
    """Compute the IoU of masks, pair by pair.

    Args:
        first: ``(..., h, w)`` bool.
        second: of the same shape.
        empty: the IoU of two empty masks.

    Returns:
        ``(...)`` float64 in 0..1.
    """
    both, either = mask_overlap(first, second)
    return np.where(either > 0, both / np.maximum(either, 1), empty)


def mask_iou_matrix(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Compute the IoU of every mask with every other.

    Args:
        first: ``(M, h, w)`` bool.
        second: ``(K, h, w)`` bool.

    Returns:
        ``(M, K)`` float32; 0 where both are empty.
    """
    a = first.reshape(len(first), -1).astype(np.float32)
    b = second.reshape(len(second), -1).astype(np.float32)
    both = a @ b.T
    either = a.sum(1)[:, None] + b.sum(1)[None] - both
    return np.asarray(both / np.maximum(either, 1.0))


def class_iou(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the IoU of each class of two label maps.

    Args:
        confusion: ``(C, C)`` int, pixels by the class in the first and in the second map.

    Returns:
        ``(C,)`` float64 in 0..1, 0 for a class in neither map, and ``(C,)`` int, pixels of the class in
        either map.
    """
    both = np.diag(confusion)
    either = confusion.sum(0) + confusion.sum(1) - both
    return both / np.maximum(either, 1), either


def box_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Compute the IoU of boxes; the shapes are broadcast, so ``a[:, None]`` and ``b`` give a matrix.

    Args:
        first: ``(..., 4)`` x0, y0, x1, y1.
        second: the same.

    Returns:
        ``(...)`` in 0..1; 0 for two boxes without area.
    """
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., 2:], second[..., 2:])
    both = np.prod(np.clip(high - low, 0, None), axis=-1)
    areas = [np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1) for boxes in (first, second)]
    return np.asarray(both / np.maximum(areas[0] + areas[1] - both, EPSILON))
