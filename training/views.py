# SPDX-License-Identifier: Apache-2.0
"""Convert a record to a training view: large-scale jitter, crop, flip and colour, for image and masks.

Masks are computed directly on the grid of the low-res logits (a quarter of the view) as the covered share of
each cell: a soft target preserves the border's position to a fraction of a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from .records import Record

#: Min covered cells, and min share of its area inside the crop, of a visible mask.
MIN_CELLS, MIN_VISIBLE = 4.0, 0.35


@dataclass(frozen=True)
class ViewOptions:
    """How views are drawn. ``zoom`` is relative to the image just fitting the view.

    ``stride`` is the side of a cell of the low-res logits in pixels of the view.
    """

    size: int
    stride: int = 4
    zoom: tuple[float, float] = (1.0, 1.0)
    flip: float = 0.0
    colour: float = 0.0
    max_masks: int = 40


@dataclass(frozen=True)
class View:
    """Hold a square training view.

    Attributes:
        image: ``(S, S, 3)`` uint8 RGB; all but the top-left ``valid`` part is padding.
        valid: (height, width) of the image in it, in pixels of the view.
        coverage: ``(M, S / stride, S / stride)`` float32, the share of each cell that the mask covers.
        boxes: ``(M, 4)`` float32 x0, y0, x1, y1 in pixels of the view.
        stride: side of a cell in pixels.
    """

    image: np.ndarray
    valid: tuple[int, int]
    coverage: np.ndarray
    boxes: np.ndarray
    stride: int = 4

    @property
    def size(self) -> int:
        """Return the side of the square view in pixels."""
        return self.image.shape[0]


def draw_view(record: Record, options: ViewOptions, rng: np.random.Generator) -> View:
    """Draw one view of a record; it may have no visible mask.

    Raises:
        ValueError: the image cannot be read.
    """
    image = record.read_image()
    stride, cells = options.stride, options.size // options.stride
    zoom = float(np.exp(rng.uniform(*np.log(options.zoom))))
    scale = cells * zoom / max(record.height, record.width)
    rows, cols = max(1, round(record.height * scale)), max(1, round(record.width * scale))
    chosen = _choose_masks(record, options.max_masks, rng)
    focus = record.boxes[rng.choice(chosen)].reshape(2, 2).mean(0) / (record.width, record.height)
    left = _offset(cols, cells, focus[0], rng)
    top = _offset(rows, cells, focus[1], rng)
    window = _resized(image, cols * stride, rows * stride)[top * stride :, left * stride :][
        : options.size, : options.size
    ]
    coverage, boxes = [], []
    factor = np.array([cols / record.width, rows / record.height], np.float32) * stride
    shift = np.array([left, top], np.float32) * stride
    for index in chosen:
        resized = cv2.resize(
            record.read_mask(index) * np.float32(1), (cols, rows), interpolation=cv2.INTER_AREA
        )
        part = resized[top : top + cells, left : left + cells]
        visible = float(part.sum())
        if visible < MIN_CELLS or visible < MIN_VISIBLE * float(resized.sum()):
            continue
        box = (record.boxes[index].reshape(2, 2) * factor - shift).reshape(4)
        coverage.append(part)
        boxes.append(_clip_box(box, part, stride))
    height, width = window.shape[:2]
    canvas = np.zeros((options.size, options.size, 3), np.uint8)
    canvas[:height, :width] = jitter_colour(window, options.colour, rng)
    stacked = np.zeros((len(coverage), cells, cells), np.float32)
    for target, part in zip(stacked, coverage, strict=True):
        target[: part.shape[0], : part.shape[1]] = part
    view = View(canvas, (height, width), stacked, np.array(boxes, np.float32).reshape(-1, 4), stride)
    return _flip(view) if rng.random() < options.flip else view


def place_image(image: np.ndarray, options: ViewOptions) -> tuple[np.ndarray, tuple[int, int]]:
    """Place an image ``(H, W, 3)`` in a square view at zoom 1; return the square and its (height, width)."""
    scale = options.size // options.stride / max(image.shape[:2])
    rows, cols = (max(1, round(length * scale)) * options.stride for length in image.shape[:2])
    canvas = np.zeros((options.size, options.size, 3), np.uint8)
    canvas[:rows, :cols] = _resized(image, cols, rows)
    return canvas, (rows, cols)


def _resized(image: np.ndarray, width: int, height: int) -> np.ndarray:
    shrinks = height < image.shape[0]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _choose_masks(record: Record, limit: int, rng: np.random.Generator) -> np.ndarray:
    """Select masks of one annotator, max ``limit``."""
    annotator = rng.choice(record.annotators)
    indices = np.flatnonzero(record.annotators == annotator)
    return indices if len(indices) <= limit else rng.choice(indices, limit, replace=False)


def _offset(length: int, cells: int, focus: float, rng: np.random.Generator) -> int:
    """Return a random start of the crop that includes the focus."""
    if length <= cells:
        return 0
    offset = round(focus * length - cells * rng.uniform(0.2, 0.8))
    return int(np.clip(offset, 0, length - cells))


def _clip_box(box: np.ndarray, part: np.ndarray, stride: int) -> np.ndarray:
    """Clip the annotated box to the visible cells of its mask; if it has none of them, return their box."""
    low, high = _extent(part, stride)
    start, end = np.maximum(box[:2], low), np.minimum(box[2:], high)
    return np.concatenate([start, end] if (start < end).all() else [low, high])


def _extent(part: np.ndarray, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the top-left and bottom-right corner of the covered cells, x y in pixels of the view."""
    # A thin wire covers less of a cell than the blurred border of other objects.
    covered = part > min(0.05, float(part.max()) / 2)
    rows, cols = np.flatnonzero(covered.any(1)), np.flatnonzero(covered.any(0))
    low = np.array([cols[0], rows[0]], np.float32) * stride
    return low, np.array([cols[-1] + 1, rows[-1] + 1], np.float32) * stride


def jitter_colour(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Change contrast, brightness and saturation by up to ``strength`` each."""
    if strength <= 0:
        return image
    contrast, brightness, saturation = rng.uniform(1 - strength, 1 + strength, 3)
    gray = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    mixed = cv2.addWeighted(image, saturation, gray, 1 - saturation, 0)
    return cv2.convertScaleAbs(mixed, alpha=contrast, beta=(brightness - contrast) * float(gray.mean()))


def _flip(view: View) -> View:
    """Mirror the image inside the view; the padding stays at the right."""
    width = view.valid[1]
    image, coverage, boxes = view.image.copy(), view.coverage.copy(), view.boxes.copy()
    image[:, :width] = image[:, :width][:, ::-1]
    cells = width // view.stride
    coverage[:, :, :cells] = coverage[:, :, :cells][:, :, ::-1]
    boxes[:, [0, 2]] = width - view.boxes[:, [2, 0]]
    return replace(view, image=image, coverage=coverage, boxes=boxes)


def paste_objects(view: View, donor: View, rng: np.random.Generator, max_objects: int = 3) -> View:
    """Copy up to ``max_objects`` objects of one view onto another, image and masks (Ghiasi et al. 2021).

    Pasted objects occlude; masks with less than ``MIN_VISIBLE`` left are dropped. Objects stay within the
    image of ``view``: its padding stays padding.
    """
    if not len(donor.boxes):
        return view
    count = min(len(donor.boxes), int(rng.integers(1, max_objects + 1)))
    chosen = rng.choice(len(donor.boxes), count, replace=False)
    inside = np.zeros_like(donor.coverage[0])
    inside[: view.valid[0] // view.stride, : view.valid[1] // view.stride] = 1
    pasted, pasted_boxes = _cut(donor.coverage[chosen], donor.boxes[chosen], inside, view.stride)
    if not len(pasted):
        return view
    cover = pasted.max(0)
    fine = np.kron(cover, np.ones((view.stride, view.stride), np.float32))[..., None]
    image = view.image * (1 - fine) + donor.image * fine
    left, boxes = _cut(view.coverage, view.boxes, 1 - cover, view.stride)
    return replace(
        view,
        image=image.round().astype(np.uint8),
        coverage=np.concatenate([left, pasted]),
        boxes=np.concatenate([boxes, pasted_boxes]),
    )


def _cut(
    coverage: np.ndarray, boxes: np.ndarray, share: np.ndarray, stride: int
) -> tuple[np.ndarray, np.ndarray]:
    """Multiply masks by the visible share of each cell, and drop those that lose too much.

    Args:
        coverage: ``(M, h, w)``.
        boxes: ``(M, 4)``; boxes of masks without a loss do not change.
        share: ``(h, w)`` in 0..1.
        stride: side of a cell in pixels of the view.
    """
    left = coverage * share
    before, after = coverage.sum((1, 2)), left.sum((1, 2))
    kept = np.flatnonzero((after >= MIN_CELLS) & (after >= MIN_VISIBLE * before))
    fitted = [np.concatenate(_extent(left[i], stride)) if after[i] < before[i] else boxes[i] for i in kept]
    return left[kept], np.array(fitted, np.float32).reshape(-1, 4)
