# SPDX-License-Identifier: Apache-2.0
"""From an image to the fixed input of a network: scaled to fit, normalised, padded."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Fit:
    """Describe the place of an image in a network's input: at the top left, followed by padding.

    Attributes:
        size: (H, W) of the image in pixels.
        input_size: (H, W) of the input in pixels.
        content: (h, w) of the image in the input. Multiples of the network's stride, so that the image covers
            an integer number of cells; its aspect ratio changes by max half a stride.
    """

    size: tuple[int, int]
    input_size: tuple[int, int]
    content: tuple[int, int]

    @classmethod
    def of(cls, size: tuple[int, int], input_size: tuple[int, int], stride: int) -> Fit:
        """Fit an image of ``size`` into an input, as large as it can be."""
        scale = min(inner / outer for inner, outer in zip(input_size, size, strict=True))
        height, width = (
            min(limit, max(1, round(side * scale / stride)) * stride)
            for side, limit in zip(size, input_size, strict=True)
        )
        return cls((size[0], size[1]), (input_size[0], input_size[1]), (height, width))

    def network_input(
        self, image: np.ndarray, mean: tuple[float, float, float], std: tuple[float, float, float]
    ) -> np.ndarray:
        """``(H, W, 3)`` uint8 RGB -> ``(1, 3, H, W)`` float32, scaled, normalised, padded with 0."""
        height, width = self.content
        shrinks = height < image.shape[0] or width < image.shape[1]
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        if (height, width) != image.shape[:2]:
            image = cv2.resize(image, (width, height), interpolation=method)
        factor = (1 / (255 * np.array(std))).astype(np.float32)
        shift = (np.array(mean) / np.array(std)).astype(np.float32)
        blob = np.zeros((1, 3, *self.input_size), np.float32)
        blob[0, :, :height, :width] = (image * factor - shift).transpose(2, 0, 1)
        return blob


def check_rgb(image: np.ndarray) -> None:
    """Raise ``ValueError`` unless an image is ``(H, W, 3)`` uint8 with a pixel or more."""
    if not isinstance(image, np.ndarray):
        raise ValueError(f"image is {type(image).__name__}; expected a uint8 array (H, W, 3), RGB")
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(f"image has shape {image.shape} and type {image.dtype}; expected (H, W, 3) uint8")
