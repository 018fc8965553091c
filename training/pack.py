# SPDX-License-Identifier: Apache-2.0
"""Shrink a COCO-format data set: small JPEGs and small masks, for fast loading or for sending elsewhere.

``python -m training.pack --data DATA --out PACKED --size 384 --names '*_train'``
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as rle_codec
from tqdm import tqdm

from .annotations import Record, Skipped, read_annotations

MIN_PIXELS = 12


def shrink(record: Record, size: int) -> tuple[np.ndarray, list[dict]]:
    """The picture as BGR with the longest side at most ``size``, and annotations that fit it."""
    scale = min(1.0, size / max(record.height, record.width))
    width, height = round(record.width * scale), round(record.height * scale)
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


def pack_file(file: Path, images: Path, out: Path, size: int, quality: int, skipped: Skipped) -> None:
    """Write the shrunk form of one annotation file and of its pictures."""
    result = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "object"}]}
    for record in tqdm(read_annotations(file, images, skipped), desc=file.stem, leave=False):
        try:
            image, annotations = shrink(record, size)
        except ValueError as error:
            skipped.add("unreadable images", str(error))
            continue
        target = out / "images" / record.name
        target.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(target), image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        number = len(result["images"]) + 1
        height, width = image.shape[:2]
        result["images"].append({"id": number, "file_name": record.name, "height": height, "width": width})
        for annotation in annotations:
            identity = {"id": len(result["annotations"]) + 1, "image_id": number}
            result["annotations"].append({**identity, "category_id": 1, "iscrowd": 0, **annotation})
    (out / "annotations").mkdir(parents=True, exist_ok=True)
    (out / "annotations" / file.name).write_text(json.dumps(result))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with images/ and annotations/")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=384, help="longest side in pixels")
    parser.add_argument("--quality", type=int, default=92, help="JPEG quality")
    parser.add_argument("--names", nargs="+", default=["*"], help="annotation files, without .json")
    options = parser.parse_args()
    skipped = Skipped()
    for name in options.names:
        for file in sorted((options.data / "annotations").glob(f"{name}.json")):
            pack_file(file, options.data / "images", options.out, options.size, options.quality, skipped)
    print(f"skipped {skipped}")


if __name__ == "__main__":
    main()
