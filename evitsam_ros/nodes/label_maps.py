# SPDX-License-Identifier: Apache-2.0
"""The label maps of one image: in pixels of the image, and as they are published."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..segment import Masks
from ..segment.mask_grid import GRIDS, MaskGrid


class LabelMaps:
    """The label maps of an image, each made when it is used first.

    Args:
        masks: of the image.
        grid: pixels of the published label map.
    """

    def __init__(self, masks: Masks, grid: MaskGrid) -> None:
        self._masks, self._grid = masks, grid

    @cached_property
    def of_image(self) -> np.ndarray:
        """Return ``(H, W)`` uint16 in pixels of the image."""
        return self._masks.label_map()

    @cached_property
    def of_grid(self) -> np.ndarray:
        """Return ``(h, w)`` uint16 in pixels of the published label map."""
        return self.of_image if self._grid is GRIDS["image"] else self._grid.label_map(self._masks)
