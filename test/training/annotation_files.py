# SPDX-License-Identifier: Apache-2.0
"""Write and read small annotation files in the three forms of COCO's masks."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as codec

from training.annotations import read_annotations
from training.records import Record, Skipped

HEIGHT, WIDTH = 40, 60


def squares() -> list[np.ndarray]:
    """Return three masks that do not overlap, ``(HEIGHT, WIDTH)`` uint8."""
    masks = [np.zeros((HEIGHT, WIDTH), np.uint8) for _ in range(3)]
    masks[0][5:15, 10:30] = 1
    masks[1][20:30, 30:50] = 1
    masks[2][2:6, 40:58] = 1
    return masks


def compressed(mask: np.ndarray) -> dict:
    """Return a mask as compressed RLE, by pycocotools."""
    rle = codec.encode(np.asfortranarray(mask))
    return {"size": list(mask.shape), "counts": rle["counts"].decode()}


def runs(mask: np.ndarray) -> dict:
    """Return a mask as uncompressed RLE."""
    flat = mask.flatten(order="F")
    ends = np.flatnonzero(np.diff(flat, prepend=0, append=2))
    return {"size": list(mask.shape), "counts": np.diff(ends, prepend=0).tolist()}


def content() -> dict:
    """Return three images, each with a mask as compressed RLE, one as runs and one as a polygon."""
    first, second, _ = squares()
    images, annotations = [], []
    for number in (1, 2, 3):
        images.append({"id": number, "file_name": f"some/{number}.png", "height": HEIGHT, "width": WIDTH})
        polygon = [[40, 2, 58, 2, 58, 6, 40, 6]]
        for mask, box in (
            (compressed(first), [10, 5, 20, 10]),
            (runs(second), [30, 20, 20, 10]),
            (polygon, [40, 2, 18, 4]),
        ):
            annotation = {"id": len(annotations) + 1, "image_id": number, "category_id": 1, "iscrowd": 0}
            annotations.append({**annotation, "segmentation": mask, "bbox": box, "area": 200})
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}


def make_folder(root: Path) -> Path:
    """Write the images of :func:`content` into a folder with an empty folder of annotations."""
    (root / "images" / "some").mkdir(parents=True)
    (root / "annotations").mkdir()
    for number in (1, 2, 3):
        cv2.imwrite(str(root / "images" / "some" / f"{number}.png"), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    return root


def read(folder: Path, data: object, name: str = "mine_train") -> tuple[list[Record], Skipped]:
    """Write an annotation file and read it."""
    file = folder / "annotations" / f"{name}.json"
    file.write_text(data if isinstance(data, str) else json.dumps(data))
    skipped = Skipped()
    return read_annotations(file, folder / "images", skipped), skipped


def check(records: Iterable[Record]) -> None:
    """Check that records are consistent, and that each mask has a pixel."""
    for record in records:
        assert len(record.rles) == len(record.boxes) == len(record.annotators) > 0
        assert np.isfinite(record.boxes).all() and (record.boxes >= 0).all()
        assert (record.boxes[:, 2:] > record.boxes[:, :2]).all()
        assert (record.boxes[:, [0, 2]] <= record.width).all()
        assert (record.boxes[:, [1, 3]] <= record.height).all()
        for index in range(len(record.rles)):
            mask = record.read_mask(index)
            assert mask.shape == (record.height, record.width) and mask.any() and mask.max() == 1
