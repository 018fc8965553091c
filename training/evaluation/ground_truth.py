# SPDX-License-Identifier: Apache-2.0
"""Check ground truth for pycocotools and lvis, which do not validate the files that they open."""

from __future__ import annotations

import json
import logging
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pycocotools import mask as codec

from ..annotations import EXPECTED, annotations_of_images, check_images, read_content
from ..instances import check_instances
from ..records import DataError, Skipped, Unusable, brief

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)


@contextmanager
def checked_instances(file: Path) -> Iterator[Path]:
    """Return a COCO or LVIS instances file without unusable entries: ``file`` itself if it has none, or a
    copy.

    Raises:
        DataError: the file cannot be read, or no annotation can be used.
    """
    content, skipped = read_content(file), Skipped()
    changed = check_content(content, file.name, skipped)
    if not content["annotations"]:
        raise DataError(f"{file}: no annotation can be used; skipped: {skipped.explain()}")
    if not changed:
        yield file
        return
    log.warning("skipped annotations: %s", skipped)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / file.name
        copy.write_text(json.dumps(content))
        del content
        yield copy


def check_content(content: dict[str, Any], name: str, skipped: Skipped) -> bool:
    """Remove unusable entries from ``content`` and fill in boxes and areas; return whether it changed."""

    def report(what: str, fault: Unusable) -> None:
        skipped.add(fault.reason, f"{name} {what}: {fault.detail}")

    if not isinstance(content.get("categories"), list):
        raise DataError(f"{name}: expected {EXPECTED}; categories is {brief(content.get('categories'))}")
    before = [len(content[part]) for part in ("images", "categories", "annotations")]
    entries, rejected = check_images(content["images"], None, report)
    content["images"] = [e for e in content["images"] if isinstance(e, dict) and _key(e, "id") in entries]
    content["categories"] = [
        e for e in content["categories"] if isinstance(e, dict) and _key(e, "id") is not None
    ]
    categories = {entry["id"] for entry in content["categories"]}
    owned = annotations_of_images(content["annotations"], entries, rejected, report)
    named = _with_identity([annotation for annotation, _ in owned], categories, report)
    sizes = [(entries[a["image_id"]].height, entries[a["image_id"]].width) for a in named]
    found = check_instances(
        named, sizes, lambda place, fault: report(f"annotation {named[place]['id']}", fault)
    )
    content["annotations"] = [named[place] for place in found.places]
    filled = [
        _fill(annotation, rle, box.tolist())
        for annotation, rle, box in zip(content["annotations"], found.rles, found.boxes, strict=True)
    ]
    after = [len(content[part]) for part in ("images", "categories", "annotations")]
    return bool(before != after or skipped.counts or any(filled))


def _key(entry: dict[str, Any], key: str) -> int | str | None:
    """An entry that can be an id, else None."""
    value = entry.get(key)
    return value if type(value) in (int, str) else None


def _with_identity(
    annotations: list[dict[str, Any]], categories: set, report: Callable[[str, Unusable], None]
) -> list[dict[str, Any]]:
    """Return the annotations with a unique id and a category of the file."""
    kept, seen = [], set()
    for annotation in annotations:
        identity, category = _key(annotation, "id"), _key(annotation, "category_id")
        what = f"annotation {brief(annotation.get('id'))}"
        if identity is None or identity in seen:
            report(what, Unusable("annotations without an id of their own", "expected a unique id"))
        elif category not in categories:
            fault = f"category_id is {brief(annotation.get('category_id'))}; expected that of a category"
            report(what, Unusable("annotations of no category", fault))
        else:
            seen.add(identity)
            kept.append(annotation)
    return kept


def _fill(annotation: dict[str, Any], rle: dict[str, Any], box: list[float]) -> bool:
    """Add the box, area and crowd flag that an annotation lacks; return whether one was missing."""
    area: Any = annotation.get("area")
    changed = False
    if type(area) not in (int, float) or not 0 <= area < float("inf"):
        annotation["area"], changed = float(codec.area(rle)), True
    if not annotation.get("bbox"):
        annotation["bbox"], changed = [box[0], box[1], box[2] - box[0], box[3] - box[1]], True
    if annotation.get("iscrowd") is None:
        annotation["iscrowd"], changed = 0, True
    segmentation = annotation["segmentation"]
    if isinstance(segmentation, list) and any(len(polygon) < 6 for polygon in segmentation):
        annotation["segmentation"], changed = {**rle, "counts": rle["counts"].decode()}, True
    return changed
