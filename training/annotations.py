# SPDX-License-Identifier: Apache-2.0
"""COCO-format annotation files, read as class-agnostic masks."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as rle_codec
from pycocotools.coco import COCO

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Record:
    """One picture and its masks.

    Attributes:
        name: the picture's name in its data set.
        image: its file, or the bytes of its JPEG or PNG.
        source: name of the annotation file it came from, without the split.
        height, width: size in pixels that the annotations refer to.
        rles: masks as compressed RLE.
        boxes: ``(M, 4)`` float32 x0, y0, x1, y1 in pixels, outer edges.
        annotators: ``(M,)`` int; masks of one annotator do not contradict each other.
    """

    name: str
    image: Path | bytes
    source: str
    height: int
    width: int
    rles: list[dict]
    boxes: np.ndarray
    annotators: np.ndarray

    def read_image(self) -> np.ndarray:
        """The picture as ``(H, W, 3)`` uint8 RGB; ``ValueError`` when it is missing, corrupt or misfit."""
        if isinstance(self.image, bytes):
            image = cv2.imdecode(np.frombuffer(self.image, np.uint8), cv2.IMREAD_COLOR)
        else:
            image = cv2.imread(str(self.image), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError(f"{self.name}: cannot be read as an image ({_place(self.image)})")
        if image.shape[:2] != (self.height, self.width):
            raise ValueError(
                f"{self.name}: is {image.shape[1]}x{image.shape[0]}, its annotations say "
                f"{self.width}x{self.height}"
            )
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)

    def read_mask(self, index: int) -> np.ndarray:
        """Mask ``index`` as ``(H, W)`` uint8 0/1."""
        return rle_codec.decode(self.rles[index])


def _place(image: Path | bytes) -> str:
    return f"{len(image)} bytes" if isinstance(image, bytes) else str(image)


@dataclass
class Skipped:
    """What was left out while reading, by reason."""

    counts: dict[str, int] = field(default_factory=dict)
    _lines: list[str] = field(default_factory=list)

    def add(self, reason: str, example: str) -> None:
        if reason not in self.counts:
            log.warning("skipping %s: %s", reason, example)
        self.counts[reason] = self.counts.get(reason, 0) + 1
        self._lines.append(f"{reason}: {example}")

    def take_lines(self) -> list[str]:
        """What was added since the last time, a line each: how the loader's processes report."""
        lines, self._lines = self._lines, []
        return lines

    def __str__(self) -> str:
        return ", ".join(f"{count} {reason}" for reason, count in self.counts.items()) or "nothing"


def read_annotations(file: Path, images: Path, skipped: Skipped | None = None) -> list[Record]:
    """Read one COCO or LVIS instances file; pictures without a usable mask are skipped and counted.

    Args:
        file: the JSON, with RLE or polygons.
        images: the folder that its ``file_name`` entries are relative to.

    Raises:
        ValueError: the file is missing or not in COCO format.
    """
    skipped = skipped if skipped is not None else Skipped()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO(str(file))
        entries = list(coco.imgs.values())
    except (OSError, KeyError, TypeError, AssertionError, json.JSONDecodeError) as error:
        raise ValueError(f"{file}: expected a COCO instances file ({error!r})") from error
    source = file.stem.rsplit("_", 1)[0]
    records = []
    for entry in entries:
        name = entry.get("file_name") or "/".join(entry["coco_url"].split("/")[-2:])  # LVIS has the URL only
        annotations = [a for a in coco.imgToAnns[entry["id"]] if not a.get("iscrowd")]
        usable = [a for a in annotations if a.get("segmentation") and min(a["bbox"][2:]) > 0]
        for annotation in annotations[: len(annotations) - len(usable)]:
            skipped.add("empty masks", f"{file.name} annotation {annotation.get('id')}")
        if not usable:
            skipped.add("images without masks", name)
            continue
        boxes = np.array([a["bbox"] for a in usable], np.float32)
        boxes[:, 2:] += boxes[:, :2]
        annotators = np.array([int(a.get("annotator", 0) or 0) for a in usable])
        rles = [coco.annToRLE(a) for a in usable]
        size = entry["height"], entry["width"]
        records.append(Record(name, images / name, source, *size, rles, boxes, annotators))
    return records


def read_folder(data: Path, names: list[str]) -> list[Record]:
    """Read ``annotations/<name>.json`` for every name; a name may hold ``*`` (``*_train``).

    Raises:
        ValueError: nothing matches a name.
    """
    skipped, records = Skipped(), []
    for name in names:
        files = sorted((data / "annotations").glob(f"{name}.json"))
        if not files:
            raise ValueError(f"no annotation file matches {data / 'annotations' / name}.json")
        for file in files:
            records += read_annotations(file, data / "images", skipped)
    log.info("%d images, %d masks; skipped %s", len(records), sum(len(r.rles) for r in records), skipped)
    return records
