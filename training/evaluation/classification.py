# SPDX-License-Identifier: Apache-2.0
"""Score the ImageNet accuracy of a classifier, by the protocol of EfficientViT's evaluation script."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from ..label_maps import read_photograph
from ..records import DataError, Skipped

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from torch import nn

    from evitsam_ros.models.network_specs import NetworkSpec

ENDINGS = (".jpeg", ".jpg", ".png")


@dataclass(frozen=True)
class ClassRecord:
    """Refer to an image and its class number."""

    image: Path
    number: int


def read_class_folders(folder: Path, classes: int) -> list[ClassRecord]:
    """List the images of a split of ImageNet: a folder for each class, in the order of their names.

    Args:
        folder: of the split, as ``val``.
        classes: number of classes of the network.

    Raises:
        DataError: the number of folders differs, or they have no image.
    """
    found = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if len(found) != classes:
        raise DataError(
            f"{folder} has {len(found)} class folders; expected {classes}, of the names n01440764 and so on"
        )
    records = [
        ClassRecord(path, number)
        for number, place in enumerate(found)
        for path in sorted(place.iterdir())
        if path.suffix.lower() in ENDINGS
    ]
    if not records:
        raise DataError(f"{folder} has no images in its class folders")
    return records


def centre_crop(image: np.ndarray, size: int, share: float) -> np.ndarray:
    """Resize the short side to ``ceil(size / share)``, bicubic, and cut the square in the middle.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        size: side of the square in pixels.
        share: of the short side that is kept: 0.95 for B0 and B1, 1.0 for the others.

    Returns:
        ``(size, size, 3)`` uint8 RGB.
    """
    height, width = image.shape[:2]
    short = math.ceil(size / share)
    # The longer side is cut to an integer, as torchvision does.
    shape = (int(short * width / height), short) if width > height else (short, int(short * height / width))
    resized = np.asarray(Image.fromarray(image).resize(shape, Image.Resampling.BICUBIC))
    top, left = (round((side - size) / 2) for side in resized.shape[:2])
    return resized[top : top + size, left : left + size]


@torch.inference_mode()
def score_classifier(
    network: nn.Module, spec: NetworkSpec, records: Iterable[ClassRecord], size: int, share: float
) -> dict[str, float]:
    """Return top-1 and top-5 accuracy in percent, and the number of images.

    Args:
        network: ``(N, 3, S, S)`` float32 -> ``(N, classes)``.
        spec: of the network.
        records: images with their class.
        size: side of the crop, see :func:`centre_crop`.
        share: of the short side, see :func:`centre_crop`.

    Raises:
        DataError: no image can be used.
    """
    mean, std = (np.array(values, np.float32) for values in (spec.mean, spec.std))
    hits, skipped = {1: 0, 5: 0}, Skipped()
    used = 0
    for record in records:
        try:
            image = centre_crop(read_photograph(record.image), size, share)
        except ValueError as error:
            skipped.add("unusable images", str(error))
            continue
        blob = ((image / np.float32(255) - mean) / std).transpose(2, 0, 1)[None]
        best = network(torch.from_numpy(np.ascontiguousarray(blob)))[0].topk(5).indices.tolist()
        used += 1
        for count in hits:
            hits[count] += record.number in best[:count]
    if not used:
        raise DataError(f"no image can be used: {skipped.explain()}")
    return {f"top-{count}": 100 * number / used for count, number in hits.items()} | {"images": used}
