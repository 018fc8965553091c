# SPDX-License-Identifier: Apache-2.0
"""A street that is drawn: sky above, a road below that narrows to the horizon, houses and trees beside it."""

import cv2
import numpy as np

#: (H, W) in pixels, and the row of the horizon.
SIZE, HORIZON = (360, 480), 150


def street(seed: int = 0) -> np.ndarray:
    """Draw the street, ``(360, 480, 3)`` uint8 RGB."""
    rng = np.random.default_rng(seed)
    height, width = SIZE
    image = np.zeros((height, width, 3), np.float32)
    image[:HORIZON] = np.linspace((225, 228, 235), (240, 240, 240), HORIZON)[:, None]
    image[HORIZON:] = (150, 145, 140)
    road = np.array(
        [[width * 0.02, height], [width * 0.98, height], [width * 0.56, HORIZON], [width * 0.44, HORIZON]]
    )
    cv2.fillPoly(image, [road.astype(np.int32)], (88, 88, 94))
    for top, left, right, colour in ((40, 0, 130, (112, 88, 76)), (70, 130, 190, (140, 118, 100))):
        image[top : HORIZON + 20, left:right] = colour
        for row in range(top + 12, HORIZON - 10, 28):
            for column in range(left + 10, right - 16, 26):
                image[row : row + 14, column : column + 10] = (52, 54, 60)
    for column in range(300, width, 12):
        for row in range(50, HORIZON + 10, 12):
            shade = rng.uniform(0.6, 1.2)
            centre = (int(column + rng.integers(-6, 7)), int(row + rng.integers(-6, 7)))
            cv2.circle(image, centre, 11, (58 * shade, 72 * shade, 42 * shade), -1)
    for start in range(HORIZON + 10, height, 40):
        cv2.rectangle(image, (width // 2 - 2, start), (width // 2 + 2, start + 16), (210, 210, 205), -1)
    image = cv2.GaussianBlur(image, (0, 0), 1.2) + rng.normal(0, 1, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def places() -> dict[str, tuple[slice, slice]]:
    """Return parts of the image by their class."""
    return {
        "sky": (slice(0, 30), slice(200, 290)),
        "tree": (slice(60, 140), slice(330, 470)),
        "road": (slice(200, 250), slice(190, 290)),
    }
