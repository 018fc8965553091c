# SPDX-License-Identifier: Apache-2.0
"""Draw training views without prompts: crops of images with label maps, and patches for super-resolution.

The authors of EfficientViT have not published their training of these tasks. The augmentation is the usual
one: scale, crop, flip and colour; for super-resolution flips and quarter turns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from evitsam_ros.dense.class_tables import IGNORED

from .bicubic import even_crop, half_size
from .label_maps import LabelRecord, read_photograph
from .records import DataError
from .views import jitter_colour

if TYPE_CHECKING:
    from pathlib import Path

#: Max attempts to draw a crop in which no class covers more than this share of the labels.
CROP_TRIES, CROP_SHARE = 5, 0.75


@dataclass(frozen=True)
class DenseOptions:
    """Configure the augmentation.

    Attributes:
        size: side of the view in pixels; of a low-resolution patch for super-resolution.
        zoom: min and max scale of the image, sampled at random.
        flip, colour: see :class:`training.recipe.Data`.
    """

    size: int
    zoom: tuple[float, float] = (1.0, 1.0)
    flip: float = 0.5
    colour: float = 0.0


@dataclass(frozen=True)
class Photograph:
    """Refer to an image file without labels.

    Attributes:
        name: shown in messages.
        image: the file.
    """

    name: str
    image: Path


def semantic_view(record: LabelRecord, options: DenseOptions, rng: np.random.Generator) -> dict:
    """Draw a square crop and its labels.

    Returns:
        ``image``: ``(S, S, 3)`` uint8 RGB; ``target``: ``(S, S)`` uint8 classes. Pixels outside the image are
            black and ignored.

    Raises:
        ValueError: the files cannot be read, or differ in size.
    """
    image, labels = record.read()
    scale = float(np.exp(rng.uniform(*np.log(options.zoom))))
    size = tuple(max(1, round(side * scale)) for side in labels.shape)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    image = cv2.resize(image, size[::-1], interpolation=method)
    labels = cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    top, left = _crop_with_many_classes(labels, options.size, rng)
    canvas = np.zeros((options.size, options.size, 3), np.uint8)
    target = np.full((options.size, options.size), IGNORED, np.uint8)
    part = image[top : top + options.size, left : left + options.size]
    height, width = part.shape[:2]
    canvas[:height, :width] = jitter_colour(part, options.colour, rng)
    target[:height, :width] = labels[top : top + height, left : left + width]
    if rng.random() < options.flip:
        canvas, target = canvas[:, ::-1], target[:, ::-1]
    return {"image": np.ascontiguousarray(canvas), "target": np.ascontiguousarray(target)}


def _crop_with_many_classes(labels: np.ndarray, side: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return top and left of a crop in which no class dominates, if a few attempts find one."""
    for _ in range(CROP_TRIES):
        top, left = (int(rng.integers(0, max(1, length - side + 1))) for length in labels.shape)
        counts = np.bincount(labels[top : top + side, left : left + side].reshape(-1), minlength=256)[
            :IGNORED
        ]
        if counts.max() <= CROP_SHARE * max(1, counts.sum()):
            break
    return top, left


def upscale_view(record: Photograph, options: DenseOptions, rng: np.random.Generator) -> dict:
    """Draw a patch at half resolution and at full resolution.

    Returns:
        ``image``: ``(S, S, 3)``; ``target``: ``(2S, 2S, 3)``; uint8 RGB.

    Raises:
        ValueError: the image cannot be read, or is smaller than a patch.
    """
    large = even_crop(read_photograph(record.image))
    side = options.size
    if min(large.shape[:2]) < 2 * side:
        raise ValueError(
            f"{record.name} is {large.shape[1]}x{large.shape[0]}; expected sides of at least {2 * side}"
        )
    small = half_size(large)
    top, left = (int(rng.integers(0, length - side + 1)) for length in small.shape[:2])
    patches = [
        small[top : top + side, left : left + side],
        large[2 * top : 2 * (top + side), 2 * left : 2 * (left + side)],
    ]
    turns, mirrored = int(rng.integers(4)) if options.flip else 0, rng.random() < options.flip
    patches = [np.rot90(patch, turns) for patch in patches]
    if mirrored:
        patches = [patch[:, ::-1] for patch in patches]
    image, target = (np.ascontiguousarray(patch) for patch in patches)
    return {"image": image, "target": target}


def read_photographs(root: Path, patterns: tuple[str, ...]) -> list[Photograph]:
    """List the JPEG and PNG files below a folder that match one of some patterns.

    Raises:
        DataError: no file matches.
    """
    found = {
        path
        for pattern in patterns
        for path in root.rglob(pattern)
        if path.suffix.lower() in (".jpg", ".jpeg", ".png") and not path.name.startswith(".")
    }
    if not found:
        raise DataError(f"{root} has no JPEG or PNG file that matches {' or '.join(patterns)}")
    return [Photograph(str(path.relative_to(root)), path) for path in sorted(found)]
