# SPDX-License-Identifier: Apache-2.0
"""Encode the newest frame of a camera as JPEG: each level once, for any number of viewers."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2

from .pace import LEVELS, Level

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import numpy as np

#: Before each JPEG, big-endian: number of the frame, stamp in nanoseconds, width and height of the image.
HEADER = struct.Struct(">QQII")


@dataclass(eq=False)
class LiveFrame:
    """An image that waits for viewers.

    Attributes:
        number: frames are numbered as they arrive, over all cameras.
        stamp: of the image, nanoseconds.
        image: ``(H, W, 3)`` uint8 RGB.
    """

    number: int
    stamp: int
    image: np.ndarray
    _encoded: dict[int, asyncio.Future[bytes]] = field(default_factory=dict)

    async def encoded(self, level: int, executor: Executor) -> bytes:
        """Return header and JPEG at an index of :data:`LEVELS`, encoded in a thread of the executor."""
        if level not in self._encoded:
            loop = asyncio.get_running_loop()
            self._encoded[level] = loop.run_in_executor(executor, self._encode, LEVELS[level])
        # A viewer that leaves must not cancel the work for the others.
        return await asyncio.shield(self._encoded[level])

    def _encode(self, level: Level) -> bytes:
        height, width = self.image.shape[:2]
        header = HEADER.pack(self.number, max(0, self.stamp), width, height)
        return header + encode_jpeg(self.image, level)


def encode_jpeg(image: np.ndarray, level: Level) -> bytes:
    """Encode an image ``(H, W, 3)`` uint8 RGB as JPEG, shrunk to the level's maximum side.

    Raises:
        ValueError: It cannot be encoded.
    """
    height, width = image.shape[:2]
    scale = level.side / max(height, width)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, level.quality]
    )
    if not done:
        raise ValueError(f"an image of {width} x {height} cannot be encoded as JPEG")
    return data.tobytes()
