# SPDX-License-Identifier: Apache-2.0
"""Define the benchmark's image and how often each figure is measured: in full, or quickly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2

if TYPE_CHECKING:
    import numpy as np

#: The measured bundle. It stays the same, so that figures of different releases can be compared.
MODEL = "lite_sam"
#: (W, H) of the default image, as 720p; and a box around the person, in its pixels.
SIZE, BOX = (1280, 720), (360.0, 30.0, 860.0, 710.0)
#: (W, H) of the images of the ROS figures, by name.
ROS_SIZES = {"VGA": (640, 480), "720p": (1280, 720), "1080p": (1920, 1080)}


@dataclass(frozen=True)
class Settings:
    """Numbers of repetitions, after a warm-up.

    Attributes:
        networks, l0, semantic, default: rounds of these suites.
        family, family_large: rounds of each model of SAM's family; of each large one, 0: these are left out.
        semantic_sizes: number of input sizes of the semantic networks.
        everything: rounds of everything mode.
        grids: whether to measure the 32 x 32 grids, which take most of the time.
        slow_every: the grids are measured in every n-th round.
        frames: frames sent for each ROS figure.
        sizes: image sizes of the ROS figures, names of :data:`ROS_SIZES`.
        compressed: whether to send compressed images over ROS too.
        starts: starts of the segmenter.
        imports: imports of its modules.
        fleet_rounds, fleet_images: rounds of labelling, and images of each.
        fleet_few, fleet_many: inputs of which the driver's memory is compared; 0: it is not.
        fleet_nodes, fleet_units: simulated nodes, 0 for none, and units of work for each.
    """

    networks: int = 15
    everything: int = 21
    grids: bool = True
    slow_every: int = 1
    l0: int = 15
    family: int = 5
    family_large: int = 2
    default: int = 9
    semantic: int = 7
    semantic_sizes: int = 2
    frames: int = 60
    sizes: tuple[str, ...] = ("VGA", "720p", "1080p")
    compressed: bool = True
    starts: int = 11
    imports: int = 7
    fleet_rounds: int = 2
    fleet_images: int = 60
    fleet_few: int = 1000
    fleet_many: int = 100_000
    fleet_nodes: int = 32
    fleet_units: int = 5


FULL = Settings()
QUICK = Settings(
    networks=3,
    everything=3,
    grids=False,
    slow_every=3,
    l0=3,
    family=1,
    family_large=0,
    default=2,
    semantic=3,
    semantic_sizes=1,
    frames=25,
    sizes=("720p",),
    compressed=False,
    starts=1,
    imports=3,
    fleet_rounds=1,
    fleet_images=16,
    fleet_many=0,
    fleet_nodes=0,
)


def photograph(size: tuple[int, int] = SIZE) -> np.ndarray:
    """Return scikit-image's astronaut in the shape of a camera image.

    Args:
        size: (W, H); the photograph is scaled to fit, and its border is repeated to fill the rest.

    Returns:
        ``(H, W, 3)`` uint8 RGB.
    """
    from skimage import data

    image = data.astronaut()
    width, height = size
    scale = min(width / image.shape[1], height / image.shape[0])
    shape = round(image.shape[1] * scale), round(image.shape[0] * scale)
    image = cv2.resize(image, shape, interpolation=cv2.INTER_LINEAR)
    left, top = (width - shape[0]) // 2, (height - shape[1]) // 2
    border = (top, height - shape[1] - top, left, width - shape[0] - left)
    return cv2.copyMakeBorder(image, *border, cv2.BORDER_REPLICATE)
