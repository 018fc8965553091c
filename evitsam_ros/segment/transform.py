# SPDX-License-Identifier: Apache-2.0
"""Between the original image, the encoder's input, the prompt frame and the low-res logits.

All four show the same image: its longest side fills the square, the rest is padding at the bottom and
at the right. Pixel centres are at +0.5 in every one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from ..bundle import Bundle


def resized_shape(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """(H, W) after scaling the longest side to ``longest``, rounded as SAM does: int(x + 0.5)."""
    scale = longest / max(size)
    return max(1, int(size[0] * scale + 0.5)), max(1, int(size[1] * scale + 0.5))


@dataclass(frozen=True)
class Transform:
    """The geometry of one image size with one model.

    Attributes:
        size: (H, W) of the original image.
        image_size: side of the encoder's input.
        prompt_size: side of the prompt frame.
        mask_size: (h, w) of the low-res logits.
    """

    size: tuple[int, int]
    image_size: int
    prompt_size: int
    mask_size: tuple[int, int]

    @classmethod
    def of(cls, bundle: Bundle, size: tuple[int, int]) -> Transform:
        """Of images of ``size`` (H, W) with a bundle's model."""
        return cls(size, bundle.image_size, bundle.prompt_size, bundle.mask_size)

    def coords(self, points: np.ndarray) -> np.ndarray:
        """``(..., 2)`` x, y of the original image -> prompt frame, float32 (section 3.2: always 1024)."""
        height, width = resized_shape(self.size, self.prompt_size)
        scale = (width / self.size[1], height / self.size[0])
        return (points * np.array(scale, np.float32)).astype(np.float32)

    @property
    def image_cells(self) -> tuple[float, float]:
        """(h, w) of the part of the low-res logits that shows the image; the rest is padding."""
        height, width = resized_shape(self.size, self.prompt_size)
        return height * self.mask_size[0] / self.prompt_size, width * self.mask_size[1] / self.prompt_size

    @property
    def pixels_per_cell(self) -> np.ndarray:
        """(x, y) pixels of the original image in a cell of the low-res logits."""
        height, width = self.image_cells
        return np.array([self.size[1] / width, self.size[0] / height])

    @property
    def visible_cells(self) -> tuple[int, int]:
        """(h, w) of the low-res cells that hold any of the image."""
        height, width = self.image_cells
        return int(np.ceil(height - 1e-6)), int(np.ceil(width - 1e-6))

    def taps(self) -> tuple[Taps, Taps]:
        """Return the cells between which rows and columns of the full-size image are interpolated."""
        height, width = self.image_cells
        return _taps(self.size[0], height, self.mask_size[0]), _taps(self.size[1], width, self.mask_size[1])

    def upsampling(self) -> tuple[np.ndarray, np.ndarray]:
        """Bilinear weights ``(H, h)`` and ``(W, w)``: ``rows @ logits @ cols.T`` is the full-size image."""
        height, width = self.image_cells
        rows = _bilinear(self.size[0], height, self.mask_size[0])
        return rows, _bilinear(self.size[1], width, self.mask_size[1])


@dataclass(frozen=True)
class Taps:
    """Bilinear interpolation along an axis: pixel i is ``1 - share[i]`` of cell ``low[i]``, else ``high[i]``.

    All ``(N,)``: low and high int, share float32.
    """

    low: np.ndarray
    high: np.ndarray
    share: np.ndarray

    def __getitem__(self, part: slice) -> Taps:
        return Taps(self.low[part], self.high[part], self.share[part])


@lru_cache(maxsize=16)
def _taps(outputs: int, span: float, cells: int) -> Taps:
    """Output pixel x samples cell (x + 0.5) * span / outputs - 0.5."""
    position = (np.arange(outputs) + 0.5) * span / outputs - 0.5
    position = np.clip(position, 0, cells - 1)
    low = np.minimum(position.astype(int), max(cells - 2, 0))
    return Taps(low, np.minimum(low + 1, cells - 1), (position - low).astype(np.float32))


@lru_cache(maxsize=16)
def _bilinear(outputs: int, span: float, cells: int) -> np.ndarray:
    """Compute ``(outputs, cells)`` float32 weights."""
    taps, weights, rows = (
        _taps(outputs, span, cells),
        np.zeros((outputs, cells), np.float32),
        np.arange(outputs),
    )
    weights[rows, taps.low] = 1 - taps.share
    weights[rows, taps.high] += taps.share
    return weights


def preprocess(
    image: np.ndarray, side: int, mean: tuple[float, float, float], std: tuple[float, float, float]
) -> np.ndarray:
    """``(H, W, 3)`` uint8 RGB -> ``(1, 3, side, side)`` float32, scaled, normalised, then padded with 0."""
    height, width = resized_shape(image.shape[:2], side)
    shrink = width < image.shape[1] or height < image.shape[0]
    if (height, width) != image.shape[:2]:
        method = cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
        image = cv2.resize(image, (width, height), interpolation=method)
    blob = np.zeros((1, 3, side, side), np.float32)
    for channel in range(3):
        target = blob[0, channel, :height, :width]
        np.multiply(image[..., channel], np.float32(1 / (255 * std[channel])), out=target)
        target -= np.float32(mean[channel] / std[channel])
    return blob
