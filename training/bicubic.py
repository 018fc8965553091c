# SPDX-License-Identifier: Apache-2.0
"""Resize to half and double size by MATLAB's bicubic kernel (-0.5), antialiased when it shrinks."""

from __future__ import annotations

import numpy as np
from PIL import Image


def half_size(image: np.ndarray) -> np.ndarray:
    """Halve ``(2h, 2w, 3)`` uint8 -> ``(h, w, 3)`` uint8.

    Raises:
        ValueError: a side is odd.
    """
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        raise ValueError(f"{width}x{height} pixels cannot be halved; expected even sides")
    return _resized(image, height // 2, width // 2)


def double_size(image: np.ndarray) -> np.ndarray:
    """Double ``(h, w, 3)`` uint8 -> ``(2h, 2w, 3)`` uint8, the baseline of super-resolution."""
    return _resized(image, 2 * image.shape[0], 2 * image.shape[1])


def even_crop(image: np.ndarray) -> np.ndarray:
    """Crop the last row and column if their number is odd."""
    return image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]


def _resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))
