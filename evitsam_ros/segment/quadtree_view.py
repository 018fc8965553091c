# SPDX-License-Identifier: Apache-2.0
"""Select the cells of the embedding that the foveal decoder reads for a prompt. A view is a quadtree over the
embedding: large cells over the full image, some of which are split into four, and these again, down to the
embedding's own. All views of a call have as many cells. For a new prompt cells are split around its point
(:meth:`Views.around`), for a known mask along its outline (:meth:`Views.along`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ..bundle import FOVEAL_STRIDES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .prompt import Prompt
    from .transform import Transform

#: Cells along a side of the square around a point that each level but the outermost shows; an even number.
RING_CELLS = 4
#: The outermost level's cells are the first of which no more lie along a side of the embedding.
OUTERMOST = 5
#: Max number of cells that a view along an outline splits.
SPLITS = 48
#: Share of an outline in large cells from which on it is refined.
COARSE = 0.1
#: Logits along a side of a cell.
LOGITS_PER_CELL = 4


def focus_point(prompt: Prompt) -> np.ndarray | None:
    """Return the mean ``(2,)`` of a prompt's foreground points, pixels.

    None if it has none, or a mask: the foveal decoder takes no masks and has no box prior.
    """
    if prompt.mask is not None:
        return None
    if len(prompt.points) == 1:  # nearly all prompts of everything mode: a mean of one would cost them more
        point: np.ndarray = prompt.points[0]
        return point if prompt.labels[0] == 1 else None
    points = prompt.points[prompt.labels == 1]
    return np.asarray(points.mean(0)) if len(points) else None


def needs_refinement(points: np.ndarray, outline: np.ndarray, transform: Transform) -> np.ndarray:
    """Return ``(M,)`` bool: whether views around ``(M, 2)`` points show :func:`outlines` in large cells."""
    closest = Views.around(points, transform).closest
    length = outline[:, : closest.shape[1], : closest.shape[2]]
    return np.asarray((length * ~closest).sum((1, 2)) > COARSE * length.sum((1, 2)))


@dataclass(frozen=True)
class Views:
    """Views of M prompts on one image.

    Attributes:
        strides: of the levels, outermost first, in cells of the embedding; each is half of the one before.
        split: for each level ``(M, h, w)`` bool: which of its cells are split into four. A cell that does not
            exist is not split, and none of the last level.
        transform: geometry of the image.
    """

    strides: tuple[int, ...]
    split: tuple[np.ndarray, ...]
    transform: Transform

    @classmethod
    def around(cls, points: np.ndarray, transform: Transform) -> Views:
        """Make views around ``(M, 2)`` points x, y in pixels: RING_CELLS squared cells at every level."""
        strides = _strides(transform, OUTERMOST)
        shapes = _shapes(transform, strides)
        centres = (points / transform.pixels_per_cell / LOGITS_PER_CELL)[:, ::-1]
        corners, sides, split = np.zeros((len(points), 2), int), np.array(shapes[0]), []
        for stride, shape in zip(strides[1:], shapes[:-1], strict=True):
            low, side = 2 * corners, np.minimum(2 * sides, RING_CELLS)
            wanted = 2 * np.rint((centres / stride - RING_CELLS / 2) / 2).astype(int)
            corners = np.clip(wanted, low, low + 2 * sides - side)
            sides = side
            within = [
                (np.arange(count) >= corners[:, axis, None] // 2)
                & (np.arange(count) < (corners[:, axis, None] + side[axis]) // 2)
                for axis, count in enumerate(shape)
            ]
            split.append(within[0][:, :, None] & within[1][:, None])
        return cls(strides, (*split, np.zeros((len(points), *shapes[-1]), bool)), transform)

    @classmethod
    def along(cls, outline: np.ndarray, transform: Transform) -> Views:
        """Make views along :func:`outlines` ``(M, h, w)``, where they are longest first."""
        strides = _strides(transform)
        shapes = _shapes(transform, strides)
        height, width = shapes[-1]
        outline = outline[:, :height, :width]
        # By level first, and cells with outline before others: so parents come before their children.
        by_level = []
        for level, stride in enumerate(strides):
            length = _sums(outline, stride)
            before = 10 * (length > 0) - level - 100 * (stride == 1)
            by_level.append((length + 1e4 * before).reshape(len(outline), -1))
        scores = np.concatenate(by_level, axis=1)
        chosen = np.zeros(scores.shape, bool)
        if most := min(SPLITS, sum(h * w for h, w in shapes[:-1])):
            best = np.argpartition(-scores, most - 1, axis=1)[:, :most]
            np.put_along_axis(chosen, best, True, axis=1)
        parts = np.split(chosen, np.cumsum([h * w for h, w in shapes])[:-1], axis=1)
        split = tuple(part.reshape(-1, *shape) for part, shape in zip(parts, shapes, strict=True))
        return cls(strides, split, transform)

    def __getitem__(self, members: Sequence[int] | np.ndarray) -> Views:
        return Views(self.strides, tuple(level[members] for level in self.split), self.transform)

    def cells(self) -> np.ndarray:
        """``(M, K)`` int32 numbers of the cells, as ``foveal_decoder.onnx`` counts them; outermost first."""
        height, width = _grid(self.transform)
        numbers = []
        for stride, (h, w) in zip(self.strides, self.shapes, strict=True):
            finer = sum((height // s) * (width // s) for s in FOVEAL_STRIDES if s < stride)
            numbers.append((finer + np.arange(h)[:, None] * (width // stride) + np.arange(w)).ravel())
        leaves = self._leaves()
        return np.concatenate(numbers).astype(np.int32)[np.nonzero(leaves)[1]].reshape(len(leaves), -1)

    def scatter_to_image(self, masks: np.ndarray) -> np.ndarray:
        """Place logits of the views' cells ``(M, 16 * K)`` in low-res logits of the image ``(M, h, w)``.

        Coarser levels are interpolated bilinearly, between levels too.
        """
        if not len(masks):
            return np.empty((0, *self.transform.mask_size), np.float32)
        pictures = self._pictures(masks)
        whole = pictures[0]
        for parents, picture in zip(self.split, pictures[1:], strict=False):
            coarse, whole = whole, np.empty_like(picture)
            for mask, target in zip(coarse, whole, strict=True):
                cv2.resize(mask, target.shape[::-1], dst=target)
            there = np.nonzero(parents)
            _blocks(whole, 2 * LOGITS_PER_CELL)[there] = _blocks(picture, 2 * LOGITS_PER_CELL)[there]
        if whole.shape[1:] == self.transform.mask_size:
            return whole
        # Beyond the last cells the mask goes on: full-size masks are interpolated between these and the ones
        # beyond, which would pull the image's border out of every mask.
        height, width = whole.shape[1:]
        placed = np.empty((len(masks), *self.transform.mask_size), np.float32)
        placed[:, :height, :width] = whole
        placed[:, height:, :width] = whole[:, -1:]
        placed[:, :, width:] = placed[:, :, width - 1 : width]
        return placed

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(h, w) of each level, in its cells."""
        return [split.shape[1:] for split in self.split]

    @property
    def closest(self) -> np.ndarray:
        """``(M, h, w)`` bool: the cells of the embedding that are shown as they are."""
        return _halved(self.split[-2]) if len(self.split) > 1 else np.ones_like(self.split[0])

    def _leaves(self) -> np.ndarray:
        """``(M, cells of all levels)`` bool: those that are shown."""
        exists, leaves = np.ones_like(self.split[0]), []
        for split in self.split:
            leaves.append((exists & ~split).reshape(len(split), -1))
            exists = _halved(split)
        return np.concatenate(leaves, axis=1)

    def _pictures(self, masks: np.ndarray) -> list[np.ndarray]:
        """``(M, 4h, 4w)`` logits of every level; of a cell that is split, the means of the finer ones.

        Where a level has no cells it is left as it was found.
        """
        row, cell = np.nonzero(self._leaves())
        # Sixteen logits of a cell come as y, x of its quarters, then y, x within them.
        values = (
            masks.reshape(-1, 2, 2, 2, 2)
            .transpose(0, 1, 3, 2, 4)
            .reshape(-1, LOGITS_PER_CELL, LOGITS_PER_CELL)
        )
        end = sum(h * w for h, w in self.shapes)
        pictures: list[np.ndarray] = []
        for split, (h, w) in zip(self.split[::-1], self.shapes[::-1], strict=True):
            picture = np.empty((len(masks), LOGITS_PER_CELL * h, LOGITS_PER_CELL * w), np.float32)
            own = (cell >= end - h * w) & (cell < end)
            end -= h * w
            _blocks(picture, LOGITS_PER_CELL)[(row[own], *np.divmod(cell[own] - end, w))] = values[own]
            if pictures:
                there = np.nonzero(split)
                x = _blocks(pictures[-1], 2 * LOGITS_PER_CELL)[there]
                means = (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4
                _blocks(picture, LOGITS_PER_CELL)[there] = means
            pictures.append(picture)
        return pictures[::-1]


def _halved(cells: np.ndarray) -> np.ndarray:
    """Every cell ``(M, h, w)`` as its four quarters ``(M, 2h, 2w)``."""
    return cells.repeat(2, axis=1).repeat(2, axis=2)


def _grid(transform: Transform) -> tuple[int, int]:
    """(h, w) of the embedding."""
    height, width = transform.mask_size
    return height // LOGITS_PER_CELL, width // LOGITS_PER_CELL


def _strides(transform: Transform, outermost: int = 0) -> tuple[int, ...]:
    """Of the levels; of the first at most ``outermost`` cells lie along a side, where one is that coarse."""
    sides = _grid(transform)
    fitting = [stride for stride in FOVEAL_STRIDES if all(side % stride == 0 for side in sides)]
    coarse = [stride for stride in fitting if max(sides) <= outermost * stride] or fitting[-1:]
    return tuple(stride for stride in reversed(fitting) if stride <= coarse[0])


def _shapes(transform: Transform, strides: tuple[int, ...]) -> list[tuple[int, int]]:
    """(h, w) of each level, in its cells: those that the image touches, of the first level."""
    whole = _grid(transform)
    seen = [-(-cells // (LOGITS_PER_CELL * strides[0])) for cells in transform.visible_cells]
    height, width = (min(a, side // strides[0]) for a, side in zip(seen, whole, strict=True))
    return [(height * strides[0] // stride, width * strides[0] // stride) for stride in strides]


def outlines(logits: np.ndarray, transform: Transform) -> np.ndarray:
    """``(M, h, w)`` float32 of low-res logits: how many of a cell's have a neighbour of the other sign."""
    rows, columns = transform.visible_cells
    inside = logits[:, :rows, :columns] > 0
    changes = np.zeros(logits.shape, bool)
    down, right = inside[:, 1:] != inside[:, :-1], inside[:, :, 1:] != inside[:, :, :-1]
    changes[:, 1:rows, :columns] |= down
    changes[:, : rows - 1, :columns] |= down
    changes[:, :rows, 1:columns] |= right
    changes[:, :rows, : columns - 1] |= right
    return _sums(changes, LOGITS_PER_CELL)


def _sums(cells: np.ndarray, side: int) -> np.ndarray:
    """Over squares: ``(M, h * side, w * side)`` -> ``(M, h, w)`` float32."""
    return np.asarray(_blocks(cells, side).sum((3, 4), dtype=np.float32))


def _blocks(image: np.ndarray, side: int) -> np.ndarray:
    """``(M, h * side, w * side)`` -> a view of its squares ``(M, h, w, side, side)``."""
    count, height, width = image.shape
    return image.reshape(count, height // side, side, width // side, side).swapaxes(2, 3)
