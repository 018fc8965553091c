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


def majority_labels(inside: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the label that most pixels of each mask have.

    Args:
        inside: ``(M, h, w)`` bool masks.
        labels: ``(h, w)`` uint8 label map of the same image, 0 void.

    Returns:
        ``(M,)`` uint8 labels, 0 where all pixels are void or there are none; and ``(M,)`` float32 shares of
        the masks' pixels. Of two labels with as many pixels the lower one is taken.

    Raises:
        ValueError: the maps differ in size.
    """
    if inside.shape[1:] != labels.shape:
        raise ValueError(f"masks {inside.shape[1:]} and label map {labels.shape} differ in size")
    counts = np.array([np.bincount(labels[mask], minlength=256) for mask in inside]).reshape(-1, 256)
    named = counts.copy()
    named[:, 0] = 0
    winners = named.argmax(1)  # 0 where all others are 0
    totals = np.maximum(counts.sum(1), 1)
    return winners.astype(np.uint8), (counts[np.arange(len(counts)), winners] / totals).astype(np.float32)
