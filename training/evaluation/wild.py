# SPDX-License-Identifier: Apache-2.0
"""Score Segmentation in the Wild (EfficientViT-SAM, section 4.4): mask AP on 25 data sets, and their mean."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..records import DataError
from .detections import average_precision, read_truth
from .ground_truth import checked_instances

if TYPE_CHECKING:
    from pathlib import Path

    from evitsam_ros.segment import Segmenter

log = logging.getLogger(__name__)

#: The benchmark's folders.
NAMES = (
    *("Airplane-Parts", "Bottles", "Brain-Tumor", "Chicken", "Cows", "Electric-Shaver", "Elephants"),
    *("Fruits", "Garbage", "Ginger-Garlic", "Hand", "Hand-Metal", "HouseHold-Items", "House-Parts"),
    *("Nutterfly-Squireel", "Phones", "Poles", "Puppies", "Rail", "Salmon-Fillet", "Strawberry"),
    *("Tablets", "Toolkits", "Trash", "Watermelon"),
)
#: Annotation files of a data set in search order; the images are beside them.
FILES = (
    "valid/_annotations_min1cat.coco.json",
    "valid/_annotations.coco.json",
    "_annotations_min1cat.coco.json",
    "_annotations.coco.json",
)
LAYOUT = f"NAME/{FILES[0]} with the images beside it, for {len(NAMES)} names"
MEAN = "mean of {} of {}"


@dataclass(frozen=True)
class WildSet:
    """Refer to one data set: its name and its annotation file."""

    name: str
    annotations: Path


def find_sets(folder: Path) -> list[WildSet]:
    """Find the data sets in a folder.

    Raises:
        DataError: There are no data sets.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: expected {LAYOUT}; there is no such folder")
    found = []
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        file = next((place / file for file in FILES if (place / file).is_file()), None)
        if file is not None:
            found.append(WildSet(place.name, file))
    if not found:
        raise DataError(f"{folder}: expected {LAYOUT}; found none of these files")
    missing = sorted(set(NAMES) - {one.name for one in found})
    if missing:
        log.warning("%s: %d of %d data sets are missing: %s", folder, len(missing), len(NAMES), missing)
    return found


def write_prompts(sets: list[WildSet], file: Path) -> None:
    """Write the prompts of a text-prompted detector: caption, class names and images by data set."""
    content = {}
    for one in sets:
        truth = read_truth(one.annotations)
        names = list(truth.categories.values())
        content[one.name] = {
            "caption": " . ".join(names) + " .",
            "categories": {str(number): name for number, name in truth.categories.items()},
            "images": {str(number): name for number, name in truth.files.items()},
        }
    try:
        file.write_text(json.dumps(content, indent=1))
    except OSError as error:
        raise ValueError(f"{file} cannot be written: {error}") from error


def score_wild(
    segmenter: Segmenter, sets: list[WildSet], detections: Path, *, boxes: str, numbering: str
) -> dict[str, dict[str, float]]:
    """Score the masks of ``detections/NAME.json`` on every data set.

    Returns:
        COCO's numbers by data set, then the mean of each.

    Raises:
        ValueError: a data set has no file of boxes, or one that is not of its images.
    """
    missing = [one.name for one in sets if not (detections / f"{one.name}.json").is_file()]
    if missing:
        raise DataError(
            f"{detections}: expected boxes as NAME.json for {len(sets)} data sets; "
            f"{len(missing)} are missing: {', '.join(missing[:5])}"
        )
    table: dict[str, dict[str, float]] = {}
    for one in sets:
        with checked_instances(one.annotations) as annotations:
            table[one.name] = average_precision(
                segmenter,
                annotations,
                one.annotations.parent,
                detections / f"{one.name}.json",
                "coco",
                boxes=boxes,
                numbering=numbering,
            )
    title = MEAN.format(len(table), len(NAMES))
    columns = next(iter(table.values()))
    means = {}
    for column in columns:
        values = [row[column] for row in table.values() if row[column] >= 0]  # -1: no mask of that size
        means[column] = sum(values) / len(values) if values else float("nan")
    return {**table, title: means}
