# SPDX-License-Identifier: Apache-2.0
"""Write black images with given masks as a COCO instances file."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as codec

from ..masks import encoded


def write_images(folder: Path, masks_of: dict[int, list[np.ndarray]]) -> Path:
    """Write an instances file with an image for every id, and one category."""
    annotations, images = [], []
    for image_id, masks in masks_of.items():
        images.append({"id": image_id, "file_name": f"{image_id}.png", "height": 60, "width": 80})
        cv2.imwrite(str(folder / f"{image_id}.png"), np.zeros((60, 80, 3), np.uint8))
        for mask in masks:
            rle = encoded(mask)
            entry = {"id": len(annotations) + 1, "image_id": image_id, "category_id": 1, "iscrowd": 0}
            entry |= {"area": int(mask.sum()), "bbox": codec.toBbox(rle).tolist(), "segmentation": rle}
            annotations.append(entry)
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "object"}]}
    (path := folder / "instances.json").write_text(json.dumps(content))
    return path
