# SPDX-License-Identifier: Apache-2.0
"""From logits at a stride to the class of every pixel, without a full-size array of all classes."""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np


class PixelClasses:
    """The best class of every pixel, from logits that are upsampled bicubic, one class at a time.

    Args:
        logits: ``(C, h, w)`` float32, C at most 254.
        size: (H, W) in pixels.

    Attributes:
        classes: ``(H, W)`` uint8 class numbers, from 0.
    """

    def __init__(self, logits: np.ndarray, size: tuple[int, int]) -> None:
        self._logits, self._size = logits, size
        self._best = _resized(logits[0], size)
        self.classes = np.zeros(size, np.uint8)
        for number in range(1, len(logits)):
            other = _resized(logits[number], size)
            self.classes[other > self._best] = number
            np.maximum(self._best, other, out=self._best)

    def confidence(self, number: int | None = None) -> np.ndarray:
        """Compute the softmax of a class, ``(H, W)`` float32; None: of each pixel's best class."""
        if number is None:
            return 1 / self._total
        return np.exp(_resized(self._logits[number], self._size) - self._best) / self._total

    @cached_property
    def _total(self) -> np.ndarray:
        # Upsampled a second time: kept, all classes would take gigabytes at full size.
        total = np.zeros(self._size, np.float32)
        for channel in self._logits:
            total += np.exp(_resized(channel, self._size) - self._best)
        return total


def _resized(channel: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """``(h, w)`` -> ``(H, W)`` float32; OpenCV's cubic is the one of the networks: -0.75, half pixels."""
    if channel.shape == tuple(size):
        return channel.astype(np.float32)
    return cv2.resize(channel, size[::-1], interpolation=cv2.INTER_CUBIC)


def majority_labels(inside: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the most frequent label of each mask's pixels.

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
