# SPDX-License-Identifier: Apache-2.0
"""Convert COCO's three mask formats (compressed RLE, runs, polygons) to compressed RLE that is safe to
decode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools import mask as codec

from . import rle
from .records import Unusable, brief

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Max polygons of one mask, and max pixels along all of their edges. pycocotools needs 100 bytes per such
#: pixel, and merges each polygon with all previous ones.
MAX_POLYGONS, MAX_OUTLINE = 10_000, 2**20
_NUMBERS = frozenset((int, float))


def parse_segmentation(segmentation: Any, height: int, width: int) -> tuple[dict[str, Any], str]:
    """Convert a ``segmentation`` entry to compressed RLE of the image's size.

    Returns:
        The RLE, with counts that :func:`check_counts` still has to check, and the skipped parts ("" if none).

    Raises:
        Unusable: the entry is malformed.
    """
    if segmentation is None or segmentation in ([], {}):
        raise Unusable("empty masks", f"segmentation is {brief(segmentation)}")
    if isinstance(segmentation, dict):
        return _parse_rle(segmentation, height, width), ""
    if isinstance(segmentation, list):
        return _parse_polygons(segmentation, height, width)
    raise Unusable(
        "malformed masks",
        f"segmentation is {brief(segmentation)}; expected an RLE or a list of polygons",
    )


def check_counts(
    masks: Sequence[dict[str, Any]], report: Callable[[int, Unusable], None]
) -> list[dict[str, Any] | None]:
    """Check the counts of compressed masks in one pass.

    Args:
        masks: RLEs of :func:`parse_segmentation`.
        report: called with the index and the fault of a mask that cannot be used.

    Returns:
        A mask's RLE, or None for one that was reported.
    """
    found: list[dict[str, Any] | None] = list(masks)
    strings = [mask["counts"] for mask in masks]
    faults = rle.find_faults(strings, [mask["size"][0] * mask["size"][1] for mask in masks])
    for index in np.flatnonzero(faults).tolist():
        height, width = masks[index]["size"]
        if faults[index] == rle.Fault.LOOSE:
            found[index] = rle.from_runs(rle.runs_of(strings[index]), height, width)
            continue
        found[index] = None
        what = {
            rle.Fault.DAMAGED: "are damaged or cut off",
            rle.Fault.MISFIT: f"do not add up to the {width}x{height} pixels of the image",
        }[rle.Fault(faults[index])]
        report(index, Unusable("damaged RLE masks", f"the counts {brief(strings[index])} {what}"))
    return found


def _parse_rle(segmentation: dict, height: int, width: int) -> dict[str, Any]:
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if not isinstance(size, list) or size != [height, width]:
        raise Unusable(
            "masks of another size",
            f"a mask has the size {brief(size)}, not {[height, width]} (height, width) as its image",
        )
    if isinstance(counts, str):
        return {"size": [height, width], "counts": counts.encode("utf-8", "replace")}
    if not isinstance(counts, list) or not all(type(n) is int and n >= 0 for n in counts):
        raise Unusable("malformed masks", f"counts are {brief(counts)}; expected a string or runs of pixels")
    if sum(counts) != height * width:
        raise Unusable(
            "damaged RLE masks",
            f"the runs {brief(counts)} do not add up to the {width}x{height} pixels",
        )
    return rle.from_runs(counts, height, width)


def _parse_polygons(polygons: list, height: int, width: int) -> tuple[dict[str, Any], str]:
    if len(polygons) > MAX_POLYGONS:
        raise Unusable("malformed masks", f"{len(polygons)} polygons; expected at most {MAX_POLYGONS}")
    outline, usable, short = 0.0, [], 0
    for polygon in polygons:
        if not isinstance(polygon, list) or not _NUMBERS.issuperset(map(type, polygon)):
            raise Unusable("malformed masks", f"a polygon is {brief(polygon)}; expected a list of numbers")
        if len(polygon) % 2:
            raise Unusable("malformed masks", f"a polygon has {len(polygon)} numbers; expected x, y in pairs")
        outline += _outline(polygon, height, width)
        if len(polygon) < 6:
            short += 1
        else:
            usable.append(polygon)
    if outline > MAX_OUTLINE:
        raise Unusable(
            "malformed masks", f"the outline is {outline:.0f} pixels long; expected at most {MAX_OUTLINE}"
        )
    fault = f"{short} of {len(polygons)} polygons have fewer than 3 points" if short else ""
    if not usable:
        raise Unusable("short polygons", fault)
    return codec.merge(codec.frPyObjects(usable, height, width)), fault


def _outline(polygon: list, height: int, width: int) -> float:
    """Count the pixels along the edges of a polygon, which may extend beyond the image by its size."""
    try:
        points = np.array(polygon, np.float64).reshape(-1, 2)
    except OverflowError:
        points = np.full((1, 2), np.inf)
    size = np.array([width, height])
    if not ((points >= -size) & (points <= 2 * size)).all():
        raise Unusable(
            "polygons far outside",
            f"a polygon is {brief(polygon)} in an image of {width}x{height} pixels",
        )
    return float(np.abs(points - np.roll(points, 1, axis=0)).max(1).sum()) if len(points) else 0.0
