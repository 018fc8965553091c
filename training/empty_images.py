# SPDX-License-Identifier: Apache-2.0
"""Draw images in which there is nothing to segment: no edge, or none that is not noise."""

from __future__ import annotations

import cv2
import numpy as np


def uniform(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return one colour, ``(H, W, 3)`` uint8 RGB."""
    return np.full((*size, 3), rng.integers(0, 256, 3), np.uint8)


def gradient(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return a change of colour along one direction, as on a wall or in a sky."""
    height, width = size
    angle = rng.uniform(0, 2 * np.pi)
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    along = xs * np.cos(angle) + ys * np.sin(angle)
    along = (along - along.min()) / np.ptp(along)
    low, high = rng.uniform(20, 120, 3), rng.uniform(120, 235, 3)
    return (low + along[..., None] * (high - low)).astype(np.uint8)


def noise(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return one colour with independent noise of every pixel, as of a sensor in the dark."""
    values = rng.normal(rng.uniform(60, 190, 3), rng.uniform(2, 15), (*size, 3))
    return np.clip(values, 0, 255).astype(np.uint8)


def clouds(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return smooth changes of brightness: noise at a 120th of the size, enlarged and blurred."""
    height, width = size
    coarse = rng.uniform(90, 160, (max(2, height // 120), max(2, width // 120))).astype(np.float32)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    smooth = cv2.GaussianBlur(smooth, (0, 0), max(height, width) / 16)
    return np.clip(smooth[..., None] * rng.uniform(0.6, 1.4, 3), 0, 255).astype(np.uint8)


#: Name -> function of (H, W) and a random generator.
KINDS = {"uniform": uniform, "gradient": gradient, "noise": noise, "clouds": clouds}
