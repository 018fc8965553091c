# SPDX-License-Identifier: Apache-2.0
"""Convert a detector's file of boxes to COCO results.

ViTDet's file is COCO results. ``ultralytics`` names images by their stem and numbers classes; Grounding DINO
has class names, corners, and scores as text (``"dog(0.53)"``).
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

log = logging.getLogger(__name__)

#: Keys of an entry's parts in detectors' files; the first is COCO's.
IMAGE = ("image_id", "file_name", "image", "image_name", "image_path")
CATEGORY = ("category_id", "class", "class_id", "cls", "category", "label", "name", "phrase")
BOX = ("bbox", "box", "xyxy", "xywh")
SCORE = ("score", "confidence", "conf", "logit")
#: Keys of an entry with all boxes of an image, and the keys of the entries it is split into.
LISTS = {"boxes": "box", "scores": "score", "labels": "label", "classes": "class", "text_labels": "label"}
LABEL_WITH_SCORE = re.compile(r"(.*)\(([0-9.]+)\)")
BOX_FORMS = ("auto", "xywh", "xyxy", "cxcywh")
NUMBERINGS = ("auto", "ids", "from0", "from1")
#: Tolerance in pixels for a box outside its image.
MARGIN = 2.0


@dataclass(frozen=True)
class Truth:
    """Hold the images and categories that boxes refer to.

    Attributes:
        name: of the annotation file, for messages.
        sizes: (width, height) by image id.
        files: file names by image id.
        categories: names by category id.
    """

    name: str
    sizes: dict[Any, tuple[float, float]]
    files: dict[Any, str]
    categories: dict[int, str]


def read_detections(
    file: Path, truth: Truth, boxes: str = "auto", numbering: str = "auto"
) -> list[dict[str, Any]]:
    """Read a detector's file as COCO results (``image_id``, ``category_id``, ``bbox`` xywh, ``score``).

    Args:
        file: JSON of the detector.
        truth: images and categories that the boxes refer to.
        boxes: ``xywh`` or ``xyxy`` in pixels, ``cxcywh`` as shares of the image, or ``auto``.
        numbering: of categories: ``ids`` of the annotation file, their places ``from0`` or ``from1``, or
            ``auto``.

    Raises:
        ValueError: the file is not of a detector, or of other images or classes; one line with the expected
            form.
    """
    entries = _flat(_read(file))
    parts = [_parts(number, entry) for number, entry in enumerate(entries)]
    images = _images(truth)
    for number, part in enumerate(parts):
        if not isinstance(part["image_id"], int | str) or isinstance(part["image_id"], bool):
            raise ValueError(
                f"detection {number}: image_id is {part['image_id']!r}; expected an image's id or file"
            )
        part["image_id"] = images.get(_key(part["image_id"]), part["image_id"])
    _check_images(file, parts, truth)
    arrays = np.array([_box(number, part["bbox"]) for number, part in enumerate(parts)]).reshape(-1, 4)
    if parts:
        sizes = np.array([truth.sizes[part["image_id"]] for part in parts], float)
        arrays = _as_xywh(arrays, sizes, _form(file, arrays, sizes, parts) if boxes == "auto" else boxes)
    for number, (part, box) in enumerate(zip(parts, arrays.tolist(), strict=True)):
        part["bbox"], part["score"] = box, _score(number, part["score"])
    return _numbered(file, parts, truth, numbering)


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{file}: expected a detector's boxes; cannot be read as JSON ({error})") from error


def _flat(found: Any) -> list[Any]:
    """Return one entry per box; entries of one image and wrappers are split."""
    if isinstance(found, dict):
        for key in ("annotations", "predictions", "detections", "results"):
            if isinstance(found.get(key), list) and found[key]:
                return _flat(found[key])
        if found and all(isinstance(value, list) for value in found.values()) and "annotations" not in found:
            found = [{"image": image, **entry} for image, value in found.items() for entry in _dicts(value)]
        else:
            raise ValueError("a detector's file: expected COCO results, a list of detections")
    if not isinstance(found, list):
        raise ValueError("a detector's file: expected COCO results, a list of detections")
    flat: list[Any] = []
    for entry in found:
        if isinstance(entry, dict) and isinstance(entry.get("boxes"), list):
            flat += _boxes_of_image(entry)
        else:
            flat.append(entry)
    return flat


def _dicts(value: list[Any]) -> list[dict[str, Any]]:
    return [entry if isinstance(entry, dict) else {"bbox": entry} for entry in value]


def _boxes_of_image(entry: dict[str, Any]) -> list[dict[str, Any]]:
    lists = {LISTS[key]: value for key, value in entry.items() if key in LISTS and isinstance(value, list)}
    if len({len(value) for value in lists.values()}) != 1:
        lengths = {key: len(value) for key, value in entry.items() if isinstance(value, list)}
        raise ValueError(
            f"an image's boxes, scores and labels: expected the same number of each, found {lengths}"
        )
    same = {key: value for key, value in entry.items() if key in IMAGE}
    return [{**same, **dict(zip(lists, row, strict=True))} for row in zip(*lists.values(), strict=True)]


def _parts(number: int, entry: Any) -> dict[str, Any]:
    """Return an entry's parts under COCO's names; ``key`` is the key of the box."""
    expected = "expected image_id, category_id, bbox and score, or what ultralytics or Grounding DINO write"
    if not isinstance(entry, dict):
        raise ValueError(f"detection {number}: {expected}")
    found = {}
    for names in (IMAGE, CATEGORY, BOX, SCORE):
        key = next((name for name in names if name in entry), None)
        if key is not None:
            found[names[0]] = entry[key]
        if names is BOX:
            found["key"] = key
    # Prefer a name to a number: the order of the numbers is unknown.
    name = next((entry[k] for k in ("label", "name", "phrase") if isinstance(entry.get(k), str)), None)
    match = LABEL_WITH_SCORE.fullmatch(name) if isinstance(name, str) else None
    if match:
        name, found["score"] = match[1], found.get("score", match[2])
    if name is not None and not isinstance(entry.get("category_id"), int):
        found["category_id"] = name
    if not {IMAGE[0], CATEGORY[0], BOX[0], SCORE[0]} <= set(found):
        raise ValueError(f"detection {number}: {expected}; found {sorted(entry)}")
    return found


def _key(image: int | str) -> str:
    """Return the common key of an id, a numeric text, a file name and its stem."""
    stem = Path(str(image)).stem if not isinstance(image, int) else str(image)
    return stem.lstrip("0") or "0" if stem.isdigit() else stem


def _images(truth: Truth) -> dict[str, Any]:
    stems = {_key(file): image for image, file in truth.files.items()}
    return stems | {_key(image): image for image in truth.files}


def _check_images(file: Path, parts: list[dict[str, Any]], truth: Truth) -> None:
    other = [part["image_id"] for part in parts if part["image_id"] not in truth.sizes]
    if other:
        share = "all" if len(other) == len(parts) else f"{len(other)} of {len(parts)}"
        raise ValueError(
            f"{file}: {share} detections name image {other[0]}, which is not in {truth.name}; expected boxes "
            f"of its {len(truth.sizes)} images"
        )


def _box(number: int, box: Any) -> list[float]:
    if isinstance(box, dict):
        corners = [box.get(key) for key in ("x1", "y1", "x2", "y2")]
        box = corners if None not in corners else box
    try:
        values = [float(value) for value in box] if not isinstance(box, str) else []
    except (TypeError, ValueError, OverflowError):
        values = []
    if len(values) != 4 or not np.isfinite(values).all():
        raise ValueError(
            f"detection {number}: bbox is {box!r}; expected x, y, width and height in pixels, or corners"
        )
    return values


def _form(file: Path, boxes: np.ndarray, sizes: np.ndarray, parts: list[dict[str, Any]]) -> str:
    """Return the format of a file's boxes: that of its key, unless the values contradict it."""
    if boxes.max() <= 1.0 and boxes.min() >= 0.0 and sizes.min() > 2:
        return "cxcywh"
    are_corners = bool(
        (boxes[:, 2:] >= boxes[:, :2]).all()
        and (boxes[:, 2:] <= sizes + MARGIN).all()
        and boxes.min() > -MARGIN
    )
    leave = bool((boxes[:, :2] + boxes[:, 2:] > sizes + MARGIN).any())
    keys = {part["key"] for part in parts}
    corners = are_corners and (leave or (keys <= {"box", "xyxy"}))
    log.info("%s: boxes read as %s", file.name, "xyxy" if corners else "xywh")
    return "xyxy" if corners else "xywh"


def _as_xywh(boxes: np.ndarray, sizes: np.ndarray, form: str) -> np.ndarray:
    """Convert ``(N, 4)`` boxes of a format, with ``(N, 2)`` image widths and heights, to xywh in pixels."""
    boxes = boxes.copy()
    if form == "xyxy":
        boxes[:, 2:] -= boxes[:, :2]
    elif form == "cxcywh":
        boxes *= np.tile(sizes, 2)
        boxes[:, :2] -= boxes[:, 2:] / 2
    return boxes


def _score(number: int, score: Any) -> float:
    try:
        value = float(score)
    except (TypeError, ValueError, OverflowError):
        value = float("nan")
    if not np.isfinite(value):
        raise ValueError(f"detection {number}: score is {score!r}; expected a number")
    return value


def _numbered(file: Path, parts: list[dict[str, Any]], truth: Truth, numbering: str) -> list[dict[str, Any]]:
    """Map detections to the category ids of the annotation file; drop labels that it does not have."""
    by_name = {name.strip().lower(): number for number, name in truth.categories.items()}
    numbers = {int(p["category_id"]) for p in parts if _is_number(p["category_id"])}
    by_number = _numbers(file, numbers, truth, numbering)
    kept, unknown = [], Counter[str]()
    for part in parts:
        category = part["category_id"]
        found = by_number.get(int(category)) if _is_number(category) else by_name.get(_label(category))
        if found is None:
            unknown[str(category)] += 1
            continue
        kept.append({key: part[key] for key in ("image_id", "bbox", "score")} | {"category_id": found})
    if unknown:
        examples = ", ".join(f"{name!r} ({count})" for name, count in unknown.most_common(3))
        line = f"{file}: {unknown.total()} detections are of no category of {truth.name}: {examples}"
        if not kept:
            raise ValueError(f"{line}; expected {', '.join(list(by_name)[:5])}, ...")
        log.warning("%s; they are dropped", line)
    return kept


def _label(category: Any) -> str:
    return str(category).strip().rstrip(".").strip().lower()


def _is_number(category: Any) -> bool:
    return not isinstance(category, bool) and (
        isinstance(category, int)
        or (isinstance(category, float) and category.is_integer())
        or (isinstance(category, str) and category.strip().isdecimal())
    )


def _numbers(file: Path, used: set[int], truth: Truth, numbering: str) -> dict[int, int]:
    """Return the category id of each number that a file uses."""
    ids = sorted(truth.categories)
    if used and not (ids and all(isinstance(number, int) for number in ids)):
        raise ValueError(f"{truth.name}: expected categories with whole numbers as ids; it has {ids[:5]}")
    if numbering == "auto" and used:
        if used <= set(ids):
            numbering = "ids"
        elif 0 in used and max(used) < len(ids):
            numbering = "from0"
        elif max(used) == len(ids) and 0 not in used:
            numbering = "from1"
        else:
            raise ValueError(
                f"{file}: category {min(used - set(ids))} is not in {truth.name}, which has {len(ids)} from "
                f"{ids[0]} to {ids[-1]}; give --numbering ids, from0 or from1"
            )
    if numbering == "ids":
        return {number: number for number in ids}
    return dict(enumerate(ids, start=1 if numbering == "from1" else 0))
