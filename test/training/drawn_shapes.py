# SPDX-License-Identifier: Apache-2.0
"""A tiny data set of drawn shapes with exact masks, in COCO format."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as codec


def shapes(rng: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Draw an image with two ellipses and a rectangle, and their masks; later shapes cover earlier ones."""
    height, width = size
    image = rng.integers(0, 90, (height, width, 3), dtype=np.uint8)
    masks: list[np.ndarray] = []
    for kind in range(3):
        centre = (int(rng.integers(20, width - 20)), int(rng.integers(20, height - 20)))
        half = (int(rng.integers(10, 30)), int(rng.integers(10, 30)))
        drawn = np.zeros(size, np.uint8)
        if kind == 2:
            corners = [(centre[0] - half[0], centre[1] - half[1]), (centre[0] + half[0], centre[1] + half[1])]
            cv2.rectangle(drawn, *corners, 1, -1)
        else:
            cv2.ellipse(drawn, centre, half, 0, 0, 360, 1, -1)
        image[drawn > 0] = rng.integers(100, 255, 3)
        masks = [mask & (1 - drawn) for mask in masks]
        masks.append(drawn)
    return image, [mask for mask in masks if mask.sum() > 30]


def write_data(folder: Path, name: str, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    (folder / "images" / "shapes").mkdir(parents=True, exist_ok=True)
    (folder / "annotations").mkdir(exist_ok=True)
    result = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "object"}]}
    for number in range(1, count + 1):
        image, masks = shapes(rng, (120, 160))
        file = f"shapes/{name}_{number}.png"
        cv2.imwrite(str(folder / "images" / file), image)
        result["images"].append({"id": number, "file_name": file, "height": 120, "width": 160})
        for mask in masks:
            rle = codec.encode(np.asfortranarray(mask))
            bbox, area = codec.toBbox(rle).tolist(), int(codec.area(rle))
            rle["counts"] = rle["counts"].decode()
            annotation = {"id": len(result["annotations"]) + 1, "image_id": number, "category_id": 1}
            result["annotations"].append(
                {**annotation, "segmentation": rle, "bbox": bbox, "area": area, "iscrowd": 0}
            )
    (folder / "annotations" / f"{name}.json").write_text(json.dumps(result))
