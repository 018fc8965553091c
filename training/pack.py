# SPDX-License-Identifier: Apache-2.0
"""Shrink a COCO-format data set: small JPEGs and small masks, for fast loading or for sending elsewhere.

``python -m training.pack --data DATA --out PACKED --size 384 --names '*_train'``
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as rle_codec
from tqdm import tqdm

from .annotations import annotation_files, no_masks, read_content, records_from_content
from .command import run_command
from .records import Record, Skipped

MIN_PIXELS = 12


def shrink(record: Record, size: int) -> tuple[np.ndarray, list[dict]]:
    """Resize the image (BGR) to a longest side of max ``size`` pixels, and the annotations with it."""
    scale = min(1.0, size / max(record.height, record.width))
    width, height = max(1, round(record.width * scale)), max(1, round(record.height * scale))
    image = cv2.cvtColor(record.read_image(), cv2.COLOR_RGB2BGR)
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    annotations = []
    for index in range(len(record.rles)):
        coverage = cv2.resize(record.read_mask(index) * 255, (width, height), interpolation=cv2.INTER_AREA)
        mask = np.asfortranarray((coverage > 127).astype(np.uint8))
        if mask.sum() < MIN_PIXELS:
            continue
        rle = rle_codec.encode(mask)
        bbox, area = rle_codec.toBbox(rle).tolist(), int(rle_codec.area(rle))
        rle["counts"] = rle["counts"].decode()
        annotator = int(record.annotators[index])
        annotations.append({"segmentation": rle, "bbox": bbox, "area": area, "annotator": annotator})
    return image, annotations


def pack_file(file: Path, images: Path, out: Path, size: int, quality: int, skipped: Skipped) -> int:
    """Write the shrunk form of one annotation file and of its images; return how many images it has.

    Raises:
        DataError: the file cannot be read.
        OSError: an image or the result cannot be written.
    """
    content = read_content(file)
    result: dict[str, Any] = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "object"}]}
    if "info" in content:
        result["info"] = content["info"]
    records = records_from_content(content, file, images, skipped)
    del content
    for record in tqdm(records, desc=file.stem, leave=False):
        target = out / "images" / record.name
        if not cv2.haveImageWriter(str(target)):
            skipped.add("images of a kind that cannot be written", f"{file.name}: {record.name}")
            continue
        try:
            image, annotations = shrink(record, size)
        except ValueError as error:
            skipped.add("unreadable images", str(error))
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if not cv2.imwrite(str(target), image, [cv2.IMWRITE_JPEG_QUALITY, quality]):
            raise OSError(f"{target}: the image cannot be written")
        number = len(result["images"]) + 1
        height, width = image.shape[:2]
        result["images"].append({"id": number, "file_name": record.name, "height": height, "width": width})
        for annotation in annotations:
            identity = {"id": len(result["annotations"]) + 1, "image_id": number}
            result["annotations"].append({**identity, "category_id": 1, "iscrowd": 0, **annotation})
    (out / "annotations").mkdir(parents=True, exist_ok=True)
    (out / "annotations" / file.name).write_text(json.dumps(result))
    return len(result["images"])


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with images/ and annotations/")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=_pixels, default=384, help="longest side in pixels")
    parser.add_argument("--quality", type=_quality, default=92, help="JPEG quality")
    parser.add_argument("--names", nargs="+", default=["*"], help="names of annotation files, without .json")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    return run_command("pack", lambda: _pack(options))


def _pack(options: argparse.Namespace) -> int:
    images, skipped, packed = options.data / "images", Skipped(), 0
    files = annotation_files(options.data, options.names)
    _check_apart(options.data, options.out)
    options.out.mkdir(parents=True, exist_ok=True)
    for file in files:
        packed += pack_file(file, images, options.out, options.size, options.quality, skipped)
    print(f"skipped {skipped}")
    if not packed:
        raise no_masks(options.data, options.names, skipped)
    return 0


def _check_apart(data: Path, out: Path) -> None:
    """Raise ``ValueError`` where small images would take the place of the large ones."""
    for part in ("images", "annotations"):
        if (out / part).resolve() == (data / part).resolve():
            raise ValueError(f"--out {out}: its {part} are the input, which is never written over")


def _quality(text: str) -> int:
    if not 0 <= (value := int(text)) <= 100:
        raise argparse.ArgumentTypeError(f"{value}; expected 0 to 100")
    return value


def _pixels(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{value}; expected 1 pixel or more")
    return value


if __name__ == "__main__":
    sys.exit(main())
