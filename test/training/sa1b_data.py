# SPDX-License-Identifier: Apache-2.0
"""Records of SA-1B in the published layout, made from shapes with known masks."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as codec

from .drawn_shapes import shapes


def published(number: int) -> tuple[str, bytes, bytes, list[np.ndarray]]:
    """Name, JPEG, JSON and masks of a made-up record in the published layout."""
    image, masks = shapes(np.random.default_rng(number), (120, 160))
    annotations = []
    for index, mask in enumerate(masks):
        rle = codec.encode(np.asfortranarray(mask))
        entry = {"bbox": codec.toBbox(rle).tolist(), "area": int(codec.area(rle)), "id": index}
        rle["counts"] = rle["counts"].decode()
        extra = {"predicted_iou": 0.9, "stability_score": 0.95, "crop_box": [0, 0, 160, 120]}
        annotations.append({**entry, **extra, "segmentation": rle, "point_coords": [[1.0, 2.0]]})
    name = f"sa_{number}"
    described = {"image_id": number, "width": 160, "height": 120, "file_name": f"{name}.jpg"}
    content = json.dumps({"image": described, "annotations": annotations}).encode()
    return name, cv2.imencode(".jpg", image)[1].tobytes(), content, masks


def write_shard(path: Path, records: list[tuple[str, bytes, bytes]]) -> None:
    """Write name, JPEG and JSON of records to a tar shard."""
    with tarfile.open(path, "w") as tar:
        for name, jpeg, content in records:
            for suffix, data in (("jpg", jpeg), ("json", content)):
                member = tarfile.TarInfo(f"{name}.{suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


def write_damaged_shards(root: Path) -> Path:
    """Write three shards of four records: one JPEG and one JSON are damaged, and one shard is truncated."""
    for shard in range(3):
        records = [published(number)[:3] for number in range(4 * shard, 4 * shard + 4)]
        records = [
            (name, b"damaged" if name == "sa_5" else jpeg, b"{}" if name == "sa_6" else content)
            for name, jpeg, content in records
        ]
        write_shard(root / f"sa_{shard:06}.tar", records)
    last = root / "sa_000002.tar"
    last.write_bytes(last.read_bytes()[:-14000])
    return root
