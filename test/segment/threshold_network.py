# SPDX-License-Identifier: Apache-2.0
"""Networks whose masks are known without them: whatever is bright, in cells of the encoder's input."""

from pathlib import Path

import numpy as np

from evitsam_ros.backends import FunctionNetwork, Runtime
from evitsam_ros.bundle import Bundle
from evitsam_ros.segment import Segmenter

SIDE, CELLS = 64, 16


def threshold_segmenter(batch: int = 1) -> tuple[Segmenter, list[int]]:
    """A segmenter whose masks are what is bright, in cells of 4 x 4 pixels of the encoder's input.

    With the number of images in each call of the encoder.
    """
    calls: list[int] = []

    def encode(inputs):
        image = inputs["image"]
        calls.append(len(image))
        return [image[:, :1].reshape(len(image), 1, CELLS, 4, CELLS, 4).mean((3, 5))]

    def decode(inputs):
        count = len(inputs["point_coords"])
        logits = np.broadcast_to(inputs["image_embeddings"], (count, 3, CELLS, CELLS))
        return [logits.astype(np.float32), np.full((count, 3), 0.5, np.float32)]

    bundle = Bundle(
        folder=Path(),
        name="threshold",
        networks={},
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        image_size=SIDE,
        prompt_size=SIDE,
        embedding=(1, CELLS, CELLS),
        mask_size=(CELLS, CELLS),
    )
    networks = {"encoder": FunctionNetwork(encode), "decoder": FunctionNetwork(decode)}
    return Segmenter(bundle, Runtime(networks, "threshold", batch=batch)), calls


def discs(size: tuple[int, int], *centres: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """An image of bright discs (x, y, radius) on black, and the discs ``(N, H, W)`` bool."""
    x, y = np.arange(size[1]) + 0.5, np.arange(size[0])[:, None] + 0.5
    masks = np.stack([(x - cx) ** 2 + (y - cy) ** 2 < radius**2 for cx, cy, radius in centres])
    return np.where(masks.any(0)[..., None], np.uint8(255), np.uint8(0)).repeat(3, axis=2), masks
