# SPDX-License-Identifier: Apache-2.0
"""Convert annotations of files to masks and boxes that fit their images.

Shared by COCO, LVIS and SA-1B. An annotation with an entry that is missing, of a wrong type, not finite, or
of another image's size is skipped, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools import mask as codec

from evitsam_ros.io.encodings import MAX_PIXELS, MAX_SIDE
from evitsam_ros.segment.iou import box_iou

from .records import Unusable, brief
from .segmentation import check_counts, parse_segmentation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Min IoU of an annotated box and the box of its mask, both grown by ``SLACK`` pixels per side.
MIN_BOX_IOU, SLACK = 0.5, 1.0
_NUMBERS = frozenset((int, float))
_LARGEST = 2**31


@dataclass(frozen=True)
class Instances:
    """Hold the usable ones of some annotations, ``M`` of them in their order.

    Attributes:
        places: ``(M,)`` int, index of each annotation.
        rles: masks as compressed RLE.
        boxes: ``(M, 4)`` float32 x0, y0, x1, y1 in pixels.
        annotators: ``(M,)`` int.
    """

    places: np.ndarray
    rles: list[dict]
    boxes: np.ndarray
    annotators: np.ndarray


def check_size(height: Any, width: Any) -> tuple[int, int]:
    """Return (H, W) in pixels as ints.

    Raises:
        Unusable: they are not numbers of pixels, or exceed the limit of an image.
    """
    if not all(type(n) in _NUMBERS and 0 < n <= MAX_SIDE and n == int(n) for n in (height, width)):
        raise Unusable(
            "images of an impossible size",
            f"height {brief(height)}, width {brief(width)}; expected 1 to {MAX_SIDE} pixels a side",
        )
    if height * width > MAX_PIXELS:
        raise Unusable(
            "images of an impossible size", f"{width}x{height}; expected at most {MAX_PIXELS} pixels"
        )
    return int(height), int(width)


def check_instances(
    annotations: Sequence[Any],
    sizes: Sequence[tuple[int, int]],
    report: Callable[[int, Unusable], None],
) -> Instances:
    """Check annotations of one or many images.

    Args:
        annotations: entries with ``segmentation``; where it is missing, ``annotator`` is 0, and ``bbox`` (x,
            y, width, height) that of the mask.
        sizes: (H, W) of each annotation's image, as :func:`check_size` returns it.
        report: called with index and fault of each skipped annotation.
    """
    places: list[int] = []
    masks: list[dict[str, Any]] = []
    rows: list[list[float]] = []
    annotators: list[int] = []
    for place, (annotation, size) in enumerate(zip(annotations, sizes, strict=True)):
        try:
            annotator, row = _annotator(annotation), _box(annotation)
            mask, left_out = parse_segmentation(annotation.get("segmentation"), *size)
        except Unusable as fault:
            report(place, fault)
            continue
        if left_out:
            report(place, Unusable("short polygons", left_out))
        places.append(place)
        masks.append(mask)
        rows.append(row)
        annotators.append(annotator)
    rles = check_counts(masks, lambda index, fault: report(places[index], fault))
    right = [index for index, found in enumerate(rles) if found is not None]
    kept = [found for found in rles if found is not None]
    at, numbers = np.array(places, int)[right], np.array(annotators, int)[right]
    boxes, fits = _fit_boxes(
        np.array(rows, np.float32).reshape(-1, 4)[right],
        codec.toBbox(kept).reshape(-1, 4) if kept else np.zeros((0, 4)),
        np.array([sizes[place] for place in at], int).reshape(-1, 2),
        lambda index, fault: report(int(at[index]), fault),
    )
    return Instances(at[fits], [kept[index] for index in np.flatnonzero(fits)], boxes[fits], numbers[fits])


def _annotator(annotation: Any) -> int:
    if not isinstance(annotation, dict):
        raise Unusable("malformed annotations", f"{brief(annotation)}; expected an object")
    annotator = annotation.get("annotator")
    if annotator is None:
        return 0
    if type(annotator) is not int or abs(annotator) >= _LARGEST:
        raise Unusable("malformed annotators", f"annotator is {brief(annotator)}; expected a small integer")
    return annotator


def _box(annotation: dict) -> list[float]:
    """Return the annotated box as x, y, width, height; NaN if there is none."""
    box = annotation.get("bbox")
    if box is None or box == []:
        return [np.nan] * 4
    if type(box) is list and len(box) == 4 and _NUMBERS.issuperset(map(type, box)):
        x, y, width, height = box
        if width <= 0 or height <= 0:
            raise Unusable("empty masks", f"bbox is {brief(box)}")
        # No abs() or sum: an integer may be too large for a float.
        if -_LARGEST < x < _LARGEST and -_LARGEST < y < _LARGEST and width < _LARGEST and height < _LARGEST:
            return box
    raise Unusable("malformed boxes", f"bbox is {brief(box)}; expected x, y, width and height in pixels")


def _fit_boxes(
    annotated: np.ndarray, of_masks: np.ndarray, sizes: np.ndarray, report: Callable[[int, Unusable], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners of annotated boxes, clipped to their images; without one, those of the mask.

    Args:
        annotated: ``(N, 4)`` x, y, width, height of the annotations, NaN without a box.
        of_masks: ``(N, 4)`` x, y, width, height of the masks.
        sizes: ``(N, 2)`` H, W.
        report: called with the index and the fault of a box that cannot be used.

    Returns:
        ``(N, 4)`` float32 x0, y0, x1, y1, and ``(N,)`` bool which can be used.
    """
    boxes = np.where(np.isnan(annotated), of_masks, annotated).astype(np.float32)
    for corners in (boxes, of_masks):
        corners[:, 2:] += corners[:, :2]
    limits = sizes[:, [1, 0, 1, 0]]
    inside = np.clip(boxes, 0, limits).astype(np.float32)
    empty = (of_masks[:, 2:] <= of_masks[:, :2]).any(1)
    apart = _ious(boxes, of_masks) < MIN_BOX_IOU
    apart |= (inside[:, 2:] <= inside[:, :2]).any(1)
    for index in np.flatnonzero(empty).tolist():
        report(index, Unusable("empty masks", "the mask has no pixel"))
    for index in np.flatnonzero(apart & ~empty).tolist():
        report(
            index,
            Unusable(
                "boxes that do not fit their masks",
                f"bbox is {annotated[index].tolist()}, the mask is from x, y {of_masks[index, :2].tolist()} "
                f"to {of_masks[index, 2:].tolist()}; expected x, y, width, height, or no bbox",
            ),
        )
    return inside, ~(empty | apart)


def _ious(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Compute the IoU of ``(N, 4)`` boxes x0, y0, x1, y1, each grown by ``SLACK``."""
    grow = np.array([-SLACK, -SLACK, SLACK, SLACK])
    return box_iou(a + grow, b + grow)
