# SPDX-License-Identifier: Apache-2.0
"""A window: a part of an image that is encoded as an image of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .prompt import BACKGROUND, Prompt

if TYPE_CHECKING:
    from .transform import Transform

#: Side of the square around an object, in longer sides of its box.
CONTEXT = 2.0
#: Min side of a square in pixels.
SMALLEST = 64


@dataclass(frozen=True)
class Window:
    """Describe pixels ``x0 <= x < x1``, ``y0 <= y < y1`` of an image, in integers: none are interpolated."""

    x0: int
    y0: int
    x1: int
    y1: int

    @classmethod
    def around(cls, extent: np.ndarray, image_size: tuple[int, int]) -> Window:
        """Return the square around an object, moved into the image and cut to it.

        Args:
            extent: ``(4,)`` x0, y0, x1, y1 of the object in pixels.
            image_size: (H, W) of the image.
        """
        side = max(SMALLEST, int(np.ceil(CONTEXT * float((extent[2:] - extent[:2]).max()))))
        centre = (extent[:2] + extent[2:]) / 2
        limits = np.array(image_size[::-1])
        sides = np.minimum(side, limits)
        low = np.clip(np.rint(centre - sides / 2).astype(int), 0, limits - sides)
        return cls(*low.tolist(), *(low + sides).tolist())

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.y1 - self.y0, self.x1 - self.x0

    @property
    def origin(self) -> np.ndarray:
        """``(2,)`` float32 x, y of the top-left corner in pixels of the image."""
        return np.array([self.x0, self.y0], np.float32)

    def crop(self, image: np.ndarray) -> np.ndarray:
        """Return a copy of the window's pixels of ``(H, W, 3)``."""
        return np.ascontiguousarray(image[self.y0 : self.y1, self.x0 : self.x1])

    def shift(self, prompt: Prompt, box: np.ndarray | None) -> Prompt:
        """Return a prompt in pixels of the window.

        Background points outside are dropped, and so is a mask: its logits cover the full image.

        Args:
            prompt: in pixels of the image; its foreground points lie in the window.
            box: ``(4,)`` of the object in pixels of the image, in place of the prompt's own; or None.
        """
        points = prompt.points - self.origin
        height, width = self.size
        inside = ((points >= 0) & (points <= (width, height))).all(1) | (prompt.labels != BACKGROUND)
        corners = None if box is None else np.clip(box - np.tile(self.origin, 2), 0, (width, height) * 2)
        return replace(
            prompt,
            points=points[inside],
            labels=prompt.labels[inside],
            box=corners,
            mask=None,
            proposal_box=None,
        )

    def place_into(
        self, outer: np.ndarray, logits: np.ndarray, inner: Transform, whole: Transform
    ) -> np.ndarray:
        """Return low-res logits of the image with those of the window in their place.

        A cell that the window covers is the mean of the window's cells in it; cells outside are background.

        Args:
            outer: ``(h, w)`` float32 low-res logits of the image; the return value has their size outside the
                window, with the sign of background.
            logits: ``(h, w)`` float32 low-res logits of the window.
            inner: geometry of the window.
            whole: geometry of the image.
        """
        placed: np.ndarray = -np.abs(outer)
        rows, y = _means(self.y0, self.y1, whole, inner, axis=1)
        columns, x = _means(self.x0, self.x1, whole, inner, axis=0)
        placed[y : y + len(rows), x : x + len(columns)] = rows @ logits @ columns.T
        return placed

    def view_of(self, outer: np.ndarray, inner: Transform, whole: Transform) -> np.ndarray:
        """Return low-res logits ``(h, w)`` of the image at the visible cells of the window, bilinear."""
        height, width = inner.visible_cells
        x_size, y_size = whole.pixels_per_cell
        step_x, step_y = inner.pixels_per_cell
        rows = _bilinear((self.y0 + (np.arange(height) + 0.5) * step_y) / y_size - 0.5, outer.shape[0])
        columns = _bilinear((self.x0 + (np.arange(width) + 0.5) * step_x) / x_size - 0.5, outer.shape[1])
        return np.asarray(rows @ outer @ columns.T, np.float32)


def _means(low: int, high: int, whole: Transform, inner: Transform, axis: int) -> tuple[np.ndarray, int]:
    """Weights ``(K, cells)`` of a window's cells for the K cells of the image that it covers, and the first.

    A cell of the image is covered if its centre is within ``low`` and ``high``, pixels. Axis 0 is x, 1 is y.
    """
    size, step = whole.pixels_per_cell[axis], inner.pixels_per_cell[axis]
    cells = inner.mask_size[1 - axis]
    first = int(np.ceil(low / size - 0.5))
    last = min(int(np.ceil(high / size - 0.5)), whole.mask_size[1 - axis])
    count = max(1, round(size / step))
    # Middles of equal parts of each cell; of one part it is the cell's own centre.
    middles = (np.arange(first, last)[:, None] + (np.arange(count) + 0.5) / count) * size
    weights = _bilinear(((middles - low) / step - 0.5).ravel(), cells)
    return weights.reshape(len(middles), count, cells).mean(1), first


def _bilinear(positions: np.ndarray, cells: int) -> np.ndarray:
    """Weights ``(N, cells)`` float32 of cells at positions counted in cells, from the centre of the first."""
    positions = np.clip(positions, 0, cells - 1)
    low = np.minimum(positions.astype(int), max(cells - 2, 0))
    share = (positions - low).astype(np.float32)
    weights = np.zeros((len(positions), cells), np.float32)
    rows = np.arange(len(positions))
    weights[rows, low] = 1 - share
    weights[rows, np.minimum(low + 1, cells - 1)] += share
    return weights
