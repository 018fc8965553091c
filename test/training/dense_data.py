# SPDX-License-Identifier: Apache-2.0
"""Tiny data sets in the layouts of the real ones: the colour of a pixel tells its class."""

from pathlib import Path

import cv2
import numpy as np

#: RGB of the first three classes.
COLOURS = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200]], np.uint8)


def stripes(rng: np.random.Generator, size: tuple[int, int] = (72, 96)) -> tuple[np.ndarray, np.ndarray]:
    """An image ``(H, W, 3)`` RGB of blocks, and its classes ``(H, W)`` 0 to 2."""
    blocks = rng.integers(0, 3, (3, 4))
    classes = np.kron(blocks, np.ones((size[0] // 3, size[1] // 4), int)).astype(np.uint8)
    noise = rng.integers(-20, 20, (*size, 3))
    return np.clip(COLOURS[classes].astype(int) + noise, 0, 255).astype(np.uint8), classes


def write(path: Path, image: np.ndarray) -> None:
    """Write ``(H, W, 3)`` RGB or ``(H, W)``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image[..., ::-1] if image.ndim == 3 else image)


def write_camvid(root: Path, split: str = "train", count: int = 4, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    for number in range(count):
        image, classes = stripes(rng)
        classes[:4] = 11
        write(root / split / f"{number}.png", image)
        write(root / f"{split}annot" / f"{number}.png", classes)


def write_cityscapes(root: Path) -> None:
    image, classes = stripes(np.random.default_rng(0))
    ids = np.array([7, 8, 11], np.uint8)[classes]
    ids[:4], ids[4:8] = 3, 255
    write(root / "leftImg8bit/val/bonn/bonn_1_leftImg8bit.png", image)
    write(root / "gtFine/val/bonn/bonn_1_gtFine_labelIds.png", ids)


def write_ade20k(root: Path) -> None:
    image, classes = stripes(np.random.default_rng(0))
    values = classes + np.uint8(1)
    values[:4] = 0
    write(root / "images/validation/ADE_val_1.jpg", image)
    write(root / "annotations/validation/ADE_val_1.png", values)
