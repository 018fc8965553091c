# SPDX-License-Identifier: Apache-2.0
"""From logits at a stride to the class of every pixel, without a full-size array of all classes."""

from __future__ import annotations

import cv2
import numpy as np


def upsampled_argmax(
    logits: np.ndarray, size: tuple[int, int], *, with_confidence: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """Upsample logits, bicubic, and take the best class of every pixel.

    Args:
        logits: ``(C, h, w)`` float32, C at most 254.
        size: (H, W) in pixels.
        with_confidence: also compute the softmax of the best class.

    Returns:
        ``(H, W)`` uint8 class numbers, from 0; and ``(H, W)`` float32 confidence, or None.
    """
    best = _resized(logits[0], size)
    classes = np.zeros(size, np.uint8)
    for number in range(1, len(logits)):
        other = _resized(logits[number], size)
        classes[other > best] = number
        np.maximum(best, other, out=best)
    if not with_confidence:
        return classes, None
    # Upsampled a second time: kept, all classes would take gigabytes at full size.
    total = np.zeros(size, np.float32)
    for channel in logits:
        total += np.exp(_resized(channel, size) - best)
    return classes, 1 / total


def _resized(channel: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """``(h, w)`` -> ``(H, W)`` float32; OpenCV's cubic is the one of the networks: -0.75, half pixels."""
    if channel.shape == tuple(size):
        return channel.astype(np.float32)
    return cv2.resize(channel, size[::-1], interpolation=cv2.INTER_CUBIC)


def majority_classes(objects: np.ndarray, labels: np.ndarray) -> dict[int, tuple[int, float]]:
    """Find the class that most pixels of each object have.

    Args:
        objects: ``(H, W)`` object ids, 0 where there is none.
        labels: ``(H, W)`` uint8 label map of the same image, 0 void.

    Returns:
        By object id: the label, 0 where all pixels are void, and its share of the object's pixels. Of two
        labels with as many pixels the lower one is taken.

    Raises:
        ValueError: the maps differ in size.
    """
    if objects.shape != labels.shape:
        raise ValueError(f"object map {objects.shape} and label map {labels.shape} differ in size")
    inside = objects > 0
    ids, rows = np.unique(objects[inside], return_inverse=True)
    counts = np.bincount(rows.reshape(-1) * 256 + labels[inside], minlength=256 * len(ids)).reshape(-1, 256)
    named = counts.copy()
    named[:, 0] = 0
    winners = named.argmax(1)  # 0 where all others are 0
    shares = counts[np.arange(len(ids)), winners] / counts.sum(1)
    found = zip(ids, winners, shares, strict=True)
    return {int(identity): (int(label), float(share)) for identity, label, share in found}
