# SPDX-License-Identifier: Apache-2.0
"""Hold masks as low-res logits, and compute full-size masks, boxes and label maps on demand.

Full-size masks are computed on demand and inside their boxes only: most of a label map is background, and
everything mode drops most masks before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ..deprecation import warn_renamed
from .rle import encode_rle

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .prompt import Prompt
    from .transform import Transform


@dataclass(frozen=True)
class Masks:
    """Hold M masks of one image.

    Attributes:
        logits: ``(M, h, w)`` float32 low-res logits; inside is > 0.
        scores: ``(M,)`` float32 predicted IoU.
        object_ids: ``(M,)`` int; the three masks of one prompt share an id.
        transform: geometry of the image.
        prompts: the prompt of each mask; empty if unknown.
        mask_indices: ``(M,)`` int, index of each mask among its prompt's three (SAM's multimask index); None
            if unknown.
        timings: seconds by stage of the call that returned these masks; an embedding that was given to it has
            its own.
        closer: for each mask its refinement on a window around it, with finer cells than the image's: areas,
            boxes and full-size masks are taken from there. None without refinement, empty if no mask has one.
            ``logits`` then has the same mask in the cells of the image.
    """

    logits: np.ndarray
    scores: np.ndarray
    object_ids: np.ndarray
    transform: Transform
    prompts: tuple[Prompt, ...] = ()
    mask_indices: np.ndarray | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    closer: tuple[CloserMask | None, ...] = ()

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def image_size(self) -> tuple[int, int]:
        """(H, W) of the original image in pixels."""
        return self.transform.size

    @property
    def levels(self) -> np.ndarray | None:
        """Return ``mask_indices``; deprecated."""
        warn_renamed("Masks.levels", "Masks.mask_indices")
        return self.mask_indices

    @property
    def visible(self) -> np.ndarray:
        """Return ``unpadded_logits``; deprecated."""
        warn_renamed("Masks.visible", "Masks.unpadded_logits")
        return self.unpadded_logits

    @property
    def unpadded_logits(self) -> np.ndarray:
        """Return the logits without the cells of the padding, a view ``(M, h', w')``."""
        height, width = self.transform.visible_cells
        visible: np.ndarray = self.logits[:, :height, :width]
        return visible

    @cached_property
    def areas(self) -> np.ndarray:
        """``(M,)`` float64 area in pixels of the original image, to the precision of a low-res cell."""
        areas = np.asarray((self.unpadded_logits > 0).sum((1, 2)) * self.transform.pixels_per_cell.prod())
        for index, closer in self._drawn_closer():
            areas[index] = closer.mask.areas[0]
        return areas

    @cached_property
    def boxes(self) -> np.ndarray:
        """``(M, 4)`` float32 x0, y0, x1, y1 in pixels; zeros for an empty mask.

        Borders lie where the interpolated logits can last be positive, so a box always holds its mask.
        """
        scale = self.transform.pixels_per_cell
        x0, x1 = _extent(self.unpadded_logits.max(1) if len(self) else np.zeros((0, 1)))
        y0, y1 = _extent(self.unpadded_logits.max(2) if len(self) else np.zeros((0, 1)))
        height, width = self.image_size
        boxes = np.stack([x0 * scale[0], y0 * scale[1], x1 * scale[0], y1 * scale[1]], axis=1)
        for index, closer in self._drawn_closer():
            box = closer.mask.boxes[0]
            boxes[index] = box + np.tile(closer.origin, 2) if box.any() else 0
        return np.asarray(np.clip(boxes, 0, (width, height, width, height)), np.float32)

    def select(self, index: np.ndarray | slice) -> Masks:
        """Select the masks at ``index`` (integers, booleans or a slice)."""
        prompts = tuple(self.prompts[i] for i in np.arange(len(self))[index]) if self.prompts else ()
        mask_indices = self.mask_indices[index] if self.mask_indices is not None else None
        taken = self.logits[index], self.scores[index], self.object_ids[index]
        closer = tuple(self.closer[i] for i in np.arange(len(self))[index]) if self.closer else ()
        return Masks(*taken, self.transform, prompts, mask_indices, self.timings, closer)

    def _drawn_closer(self) -> list[tuple[int, CloserMask]]:
        return [(index, closer) for index, closer in enumerate(self.closer) if closer is not None]

    def crop(self, index: int) -> tuple[np.ndarray, tuple[int, int]]:
        """Mask ``index`` at full size inside its box: ``(H', W')`` bool and its top-left (y, x)."""
        if self.closer and (closer := self.closer[index]) is not None:
            part, (y, x) = closer.mask.crop(0)
            return part, (y + closer.origin[1], x + closer.origin[0])
        x0, y0, x1, y1 = self.pixel_boxes[index]
        rows, cols = self.transform.taps()
        rows, cols = rows[y0:y1], cols[x0:x1]
        if not rows.low.size or not cols.low.size:
            return np.zeros((0, 0), bool), (0, 0)
        top = rows.low[0]
        part = self.logits[index][top : rows.high[-1] + 1]
        # Not a matrix product: for one so small BLAS wakes every core, and waits where these have other work.
        left, right = part[:, cols.low], part[:, cols.high]
        wide = left + cols.share * (right - left)
        above, below = wide[rows.low - top], wide[rows.high - top]
        return above + rows.share[:, None] * (below - above) > 0, (y0, x0)

    @cached_property
    def pixel_boxes(self) -> np.ndarray:
        """``(M, 4)`` int pixels that hold the masks, with a pixel to spare."""
        boxes = self.boxes
        height, width = self.image_size
        grown = np.concatenate([np.floor(boxes[:, :2]) - 1, np.ceil(boxes[:, 2:]) + 1], axis=1)
        grown[(boxes[:, 2:] <= boxes[:, :2]).any(1)] = 0
        return np.asarray(np.clip(grown, 0, (width, height, width, height)), int)

    def full(self) -> np.ndarray:
        """``(M, H, W)`` bool masks of the original image."""
        result = np.zeros((len(self), *self.image_size), bool)
        for index in range(len(self)):
            part, (y, x) = self.crop(index)
            result[index, y : y + part.shape[0], x : x + part.shape[1]] = part
        return result

    def label_map(self) -> np.ndarray:
        """``(H, W)`` uint16: 0 background, else the object id; smaller objects lie on top."""
        result = np.zeros(self.image_size, np.uint16)
        for index in np.argsort(-self.areas, kind="stable"):
            part, (y, x) = self.crop(index)
            window = result[y : y + part.shape[0], x : x + part.shape[1]]
            window[part] = self.object_ids[index]
        return result

    def rle(self) -> list[dict[str, Any]]:
        """COCO run-length encodings, counts as str."""
        return [encode_rle(mask) for mask in self.full()]

    def contours(self) -> list[list[np.ndarray]]:
        """For each mask its outlines, ``(K, 2)`` int x, y in pixels of the original image."""
        outlines = []
        for index in range(len(self)):
            part, (y, x) = self.crop(index)
            found = (
                cv2.findContours(part.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
                if part.size
                else ()
            )
            outlines.append([contour[:, 0] + np.array([x, y]) for contour in found])
        return outlines


@dataclass(frozen=True)
class CloserMask:
    """A mask that was drawn on a window of the image.

    Attributes:
        mask: the one mask, of an image that is the window.
        origin: (x, y) of the window's top-left pixel in the image.
    """

    mask: Masks
    origin: tuple[int, int]


def _extent(profile: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where ``(M, n)`` profiles of maxima cross zero first and last, in cells; (0, 0) if they never do.

    The interpolated maximum is at most the interpolation of the maxima, so the extent is never too small.
    """
    count, cells = profile.shape
    positive = profile > 0
    first, last = positive.argmax(1), cells - 1 - positive[:, ::-1].argmax(1)
    rows = np.arange(count)

    def share(inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
        inside = profile[rows, inner]
        outside = profile[rows, np.clip(outer, 0, cells - 1)]
        crossing = inside / np.maximum(inside - outside, 1e-12)
        # Beyond the last cell the interpolation repeats it, so the mask reaches the cell's edge.
        return np.where((outer < 0) | (outer >= cells), 0.5, crossing)

    low = first + 0.5 - share(first, first - 1)
    high = last + 0.5 + share(last, last + 1)
    empty = ~positive.any(1)
    return np.where(empty, 0.0, low), np.where(empty, 0.0, high)
