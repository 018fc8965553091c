# SPDX-License-Identifier: Apache-2.0
"""Hold a camera image, and its encoding."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..backends import Encoded
    from .transform import Transform


@dataclass(frozen=True)
class Frame:
    """An RGB view of a camera image; never written to.

    Attributes:
        image: ``(H, W, 3)`` uint8 RGB.
        stamp: time of the image in seconds, or None.
        frame_id: the camera's coordinate frame.

    Raises:
        ValueError: the image has another shape or type, or no pixels.
    """

    image: np.ndarray
    stamp: float | None = None
    frame_id: str = ""

    def __post_init__(self) -> None:
        image = self.image
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
            kind = getattr(image, "dtype", type(image).__name__)
            raise ValueError(f"image is {kind}; expected a uint8 array (H, W, 3), RGB")
        if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
            raise ValueError(f"image has shape {image.shape}; expected (H, W, 3) with H and W of at least 1")

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.image.shape[0], self.image.shape[1]


@dataclass(frozen=True)
class Embedding:
    """The encoder's output for one frame; any number of prompts can be decoded on it.

    Attributes:
        data: the encoder's arrays, on the runtime's own device.
        transform: geometry of the frame.
        stamp: time of the frame in seconds, or None.
        frame_id: the camera's coordinate frame.
        timings: seconds by stage of the call that made it; its share where it was made with others.
    """

    data: Encoded
    transform: Transform
    stamp: float | None = None
    frame_id: str = ""
    timings: Mapping[str, float] = field(default_factory=dict)
