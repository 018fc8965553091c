# SPDX-License-Identifier: Apache-2.0
"""The pixels in which masks are given: those of the image, or the cells of the network's output.

The network's output needs no interpolation and is a sixteenth of the image or less; it is enough for many
planners.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .masks import Masks


class MaskGrid(ABC):
    """A resolution of masks."""

    @abstractmethod
    def size(self, masks: Masks) -> tuple[int, int]:
        """Return (H, W) of the masks in this grid."""

    @abstractmethod
    def image_pixels(self, masks: Masks) -> np.ndarray:
        """Return how many pixels of the image, along x and y, a pixel of the grid is."""

    @abstractmethod
    def crop(self, masks: Masks, index: int) -> tuple[np.ndarray, tuple[int, int]]:
        """Return a mask ``(H', W')`` bool without empty rows and columns around it, and its top-left y, x."""

    @abstractmethod
    def label_map(self, masks: Masks) -> np.ndarray:
        """Return ``(H, W)`` uint16: 0 background, else the object id; smaller objects lie on top."""


class ImageGrid(MaskGrid):
    """The pixels of the image."""

    def size(self, masks: Masks) -> tuple[int, int]:
        """Return (H, W) of the image."""
        return masks.image_size

    def image_pixels(self, masks: Masks) -> np.ndarray:
        """Return 1, 1."""
        return np.ones(2)

    def crop(self, masks: Masks, index: int) -> tuple[np.ndarray, tuple[int, int]]:
        """Return a mask, interpolated in its box only."""
        return _trimmed(*masks.crop(index))

    def label_map(self, masks: Masks) -> np.ndarray:
        """Return the label map of the image."""
        return masks.label_map()


class NetworkGrid(MaskGrid):
    """The cells of the low-res logits that hold any of the image; the last ones may reach beyond it."""

    def size(self, masks: Masks) -> tuple[int, int]:
        """Return (h, w) of the cells."""
        return masks.transform.visible_cells

    def image_pixels(self, masks: Masks) -> np.ndarray:
        """Return pixels of the image in a cell, along x and y."""
        return np.asarray(masks.transform.pixels_per_cell)

    def crop(self, masks: Masks, index: int) -> tuple[np.ndarray, tuple[int, int]]:
        """Return the cells of a mask."""
        return _trimmed(masks.unpadded_logits[index] > 0, (0, 0))

    def label_map(self, masks: Masks) -> np.ndarray:
        """Return the label map of the cells."""
        labels = np.zeros(self.size(masks), np.uint16)
        for index in np.argsort(-masks.areas, kind="stable"):
            np.copyto(labels, np.uint16(masks.object_ids[index]), where=masks.unpadded_logits[index] > 0)
        return labels


#: By the names of the parameter ``output_scale``.
GRIDS: dict[str, MaskGrid] = {"image": ImageGrid(), "network": NetworkGrid()}


def _trimmed(mask: np.ndarray, offset: tuple[int, int]) -> tuple[np.ndarray, tuple[int, int]]:
    """Remove empty rows and columns around a mask at an offset y, x."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not rows.size:
        return np.zeros((0, 0), bool), (0, 0)
    top, left = int(rows[0]), int(columns[0])
    part = mask[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
    return part, (int(offset[0]) + top, int(offset[1]) + left)
