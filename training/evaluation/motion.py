# SPDX-License-Identifier: Apache-2.0
"""Move a photograph as before a robot's camera, with exactly known masks and ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..records import Record


def move_camera(
    record: Record, frames: int, seed: int = 0, pan: float = 0.25, turn: float = 6.0, zoom: float = 0.15
) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    """Yield views of an image along a smooth path: ``(H, W, 3)`` uint8 RGB and its masks ``(H, W)`` bool.

    Args:
        record: an image with masks.
        frames: number of views.
        seed: of the path.
        pan: translation of the view, as a share of its size.
        turn: rotation in degrees.
        zoom: amplitude of the scale.
    """
    image = record.read_image()
    masks = [record.read_mask(index) for index in range(len(record.rles))]
    height, width = image.shape[:2]
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, 4)
    for step in range(frames):
        angle = 2 * np.pi * step / frames
        x, y, turned, nearer = (np.sin(angle + phases) - np.sin(phases)) / 2
        centre, scale = (width / 2, height / 2), 1 + zoom * nearer
        matrix: np.ndarray = cv2.getRotationMatrix2D(centre, turn * turned, scale)
        matrix[:, 2] += pan * np.array([width * x, height * y])
        size = (width, height)
        view = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        moved = [cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_NEAREST) > 0 for mask in masks]
        yield view, moved
