# SPDX-License-Identifier: Apache-2.0
"""The picture of all figures: scikit-image's astronaut, in the shape that a camera would send it."""

from __future__ import annotations

import cv2
import numpy as np

#: (W, H), as 720p.
SIZE = (1280, 720)
#: Around the person, in its pixels.
BOX = (360.0, 30.0, 860.0, 710.0)


def photograph(size: tuple[int, int] = SIZE) -> np.ndarray:
    """``(H, W, 3)`` uint8 RGB: scaled to fit into (W, H) ``size``, its border repeated to both sides."""
    from skimage import data

    picture = data.astronaut()
    width, height = size
    scale = min(width / picture.shape[1], height / picture.shape[0])
    shape = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
    picture = cv2.resize(picture, shape, interpolation=cv2.INTER_LINEAR)
    left, top = (width - shape[0]) // 2, (height - shape[1]) // 2
    border = (top, height - shape[1] - top, left, width - shape[0] - left)
    return cv2.copyMakeBorder(picture, *border, cv2.BORDER_REPLICATE)
