# SPDX-License-Identifier: Apache-2.0
"""What a prompt looks at: closely at its point, ever more coarsely around it, to the edges of the picture.

A view is nested: :data:`RING` x RING cells of the embedding around the point, around them RING x RING cells
twice as wide, and so on; the outermost level has the whole picture. All views of a picture have as many
cells, so that all prompts share a decoder call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..bundle import FOVEAL_STRIDES
from .prompt import Prompt
from .transform import Transform

#: Cells along a side of every level but the outermost; a multiple of 4.
RING = 8
#: The outermost level's cells are the first of which no more lie along a side of the embedding.
OUTERMOST = 12
#: Logit of what lies outside of the picture.
OUTSIDE = -32.0
#: Logits along a side of a cell.
FINE = 4


def looks_at(prompt: Prompt) -> np.ndarray | None:
    """The middle ``(2,)`` of a prompt's foreground points, pixels.

    None if it has none, or a mask: the foveal decoder takes no masks and has no box prior.
    """
    if prompt.mask is not None:
        return None
    if len(prompt.points) == 1:  # nearly all prompts of everything mode: a mean of one would cost them more
        return prompt.points[0] if prompt.labels[0] == 1 else None
    points = prompt.points[prompt.labels == 1]
    return points.mean(0) if len(points) else None


@dataclass(frozen=True)
class Views:
    """Views of M prompts on one picture.

    Attributes:
        strides: of the levels, outermost first, in cells of the embedding.
        shapes: (h, w) of each level, in its cells.
        corners: ``(M, 2)`` int y, x of each level's first cell, in its cells; 0, 0 for the outermost.
        transform: geometry of the picture.
    """

    strides: tuple[int, ...]
    shapes: tuple[tuple[int, int], ...]
    corners: tuple[np.ndarray, ...]
    transform: Transform

    @classmethod
    def around(cls, points: np.ndarray, transform: Transform) -> Views:
        """Around ``(M, 2)`` points x, y in pixels."""
        height, width = _grid(transform)
        finer = [stride for stride in FOVEAL_STRIDES[:-1] if max(height, width) > OUTERMOST * stride]
        strides = FOVEAL_STRIDES[len(finer) :: -1]
        most = (height // strides[0], width // strides[0])
        visible = (-(-cells // (FINE * strides[0])) for cells in transform.visible_cells)
        # No smaller than what the next level takes of it.
        least = RING // 2 if finer else 1
        shapes = [tuple(min(max(a, least), b) for a, b in zip(visible, most, strict=True))]
        corners = [np.zeros((len(points), 2), int)]
        centres = (points / transform.pixels_per_cell / FINE)[:, ::-1]
        for stride in strides[1:]:
            low = 2 * corners[-1]
            high = low + 2 * np.array(shapes[-1]) - RING
            wanted = 2 * np.rint((centres / stride - RING / 2) / 2).astype(int)
            corners.append(np.clip(wanted, low, high))
            shapes.append((RING, RING))
        return cls(strides, tuple(shapes), tuple(corners), transform)

    def __getitem__(self, members: Sequence[int] | np.ndarray) -> Views:
        corners = tuple(corner[members] for corner in self.corners)
        return Views(self.strides, self.shapes, corners, self.transform)

    def cells(self) -> np.ndarray:
        """``(M, K)`` int32 numbers of the cells, as ``foveal_decoder.onnx`` counts them; outermost first."""
        height, width = _grid(self.transform)
        count, found = len(self.corners[0]), []
        for level, (stride, (h, w), corner) in enumerate(
            zip(self.strides, self.shapes, self.corners, strict=True)
        ):
            finer = [(height // s) * (width // s) for s in FOVEAL_STRIDES if s < stride]
            rows = corner[:, :1] + np.arange(h)
            columns = corner[:, 1:] + np.arange(w)
            numbers = sum(finer) + rows[:, :, None] * (width // stride) + columns[:, None]
            found.append(numbers[self._own(level)].reshape(count, -1))
        return np.concatenate(found, axis=1).astype(np.int32)

    def place(self, masks: np.ndarray) -> np.ndarray:
        """Masks of the views' cells ``(M, 16 * K)`` -> low-res logits of the picture ``(M, h, w)``.

        Coarser levels are interpolated bilinearly, between levels too.
        """
        placed = np.full((len(masks), *self.transform.mask_size), OUTSIDE, np.float32)
        pictures = self._pictures(masks) if len(masks) else []
        for index, target in enumerate(placed):
            whole = pictures[0][index]
            for level in range(1, len(self.strides)):
                whole = cv2.resize(whole, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
                y, x = FINE * self.corners[level][index]
                whole[y : y + FINE * RING, x : x + FINE * RING] = pictures[level][index]
            height, width = (min(a, b) for a, b in zip(whole.shape, target.shape, strict=True))
            target[:height, :width] = whole[:height, :width]
        return placed

    def _own(self, level: int) -> np.ndarray:
        """``(M, h, w)`` bool: cells of a level that no finer one shows."""
        h, w = self.shapes[level]
        if level + 1 == len(self.strides):
            return np.ones((len(self.corners[level]), h, w), bool)
        first = self.corners[level + 1] // 2 - self.corners[level]
        rows = np.arange(h) - first[:, :1]
        columns = np.arange(w) - first[:, 1:]
        within = [(along >= 0) & (along < RING // 2) for along in (rows, columns)]
        return ~(within[0][:, :, None] & within[1][:, None])

    def _pictures(self, masks: np.ndarray) -> list[np.ndarray]:
        """``(M, 4h, 4w)`` logits of every level; where a finer one has the cells, the means of its logits."""
        count, end, pictures = len(masks), masks.shape[1] // 16, []
        for level in reversed(range(len(self.strides))):
            own, (h, w) = self._own(level), self.shapes[level]
            start = end - int(own[0].sum())
            cells = np.zeros((count, h, w, 16), np.float32)
            cells[own] = masks[:, 16 * start : 16 * end].reshape(-1, 16)
            # Sixteen logits of a cell come as y, x of its quarters, then y, x within them.
            picture = cells.reshape(count, h, w, 2, 2, 2, 2).transpose(0, 1, 3, 5, 2, 4, 6)
            picture = picture.reshape(count, FINE * h, FINE * w)
            if pictures:
                finer = pictures[-1]
                means = (
                    finer[:, ::2, ::2] + finer[:, 1::2, ::2] + finer[:, ::2, 1::2] + finer[:, 1::2, 1::2]
                ) / 4
                for index, (y, x) in enumerate(FINE * (self.corners[level + 1] // 2 - self.corners[level])):
                    picture[index, y : y + means.shape[1], x : x + means.shape[2]] = means[index]
            pictures.append(picture)
            end = start
        return pictures[::-1]


def _grid(transform: Transform) -> tuple[int, int]:
    """(h, w) of the embedding."""
    height, width = transform.mask_size
    return height // FINE, width // FINE
