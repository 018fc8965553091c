# SPDX-License-Identifier: Apache-2.0
"""Buffer the last images of a camera: a prompt with a stamp applies to the image that has it.

Images are buffered rather than embeddings: only images in use are encoded, and a runtime may write the next
embedding where the last one was.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any


def stamp_ns(header: Any) -> int:
    """Return a header's stamp in nanoseconds; 0 means "the newest"."""
    return header.stamp.sec * 1_000_000_000 + header.stamp.nanosec


class RecentImages:
    """Buffer the newest images, limited in number, age and size.

    The newest is buffered at any size. Age counts from the arrival, so that clocks may jump, as when a bag or
    a simulation restarts.

    Args:
        max_images: maximum number.
        seconds: maximum age.
        max_bytes: maximum size together.
    """

    def __init__(self, max_images: int, seconds: float, max_bytes: float = float("inf")) -> None:
        self.seconds = seconds
        self._max_images, self._max_bytes = max_images, max_bytes
        self._kept: deque[tuple[float, int, Any]] = deque()
        self._bytes = 0

    def add(self, message: Any) -> None:
        """Add an image that has arrived, and drop the oldest ones beyond the limits."""
        self._kept.append((time.monotonic(), stamp_ns(message.header), message))
        self._bytes += len(message.data)
        while len(self._kept) > 1 and (len(self._kept) > self._max_images or self._bytes > self._max_bytes):
            self._drop_oldest()

    def newest(self) -> Any | None:
        """Return the newest image that is not too old."""
        self.forget_old()
        return self._kept[-1][2] if self._kept else None

    def find(self, stamp: int) -> Any | None:
        """Return the image with exactly this stamp, nanoseconds."""
        self.forget_old()
        return next((message for _, known, message in reversed(self._kept) if known == stamp), None)

    def nearest(self, stamp: int) -> Any | None:
        """Return the image with the nearest stamp, nanoseconds."""
        self.forget_old()
        return min(self._kept, key=lambda entry: abs(entry[1] - stamp), default=(0, 0, None))[2]

    def seconds_ahead(self, stamp: int) -> float:
        """Return how much later a stamp is than the newest image's; a tiny positive value without images."""
        self.forget_old()
        return (stamp - self._kept[-1][1]) / 1e9 if self._kept else 1e-9

    def __str__(self) -> str:
        """Describe the contents, for an error."""
        self.forget_old()
        if not self._kept:
            return "no image is buffered"
        stamps = [stamp for _, stamp, _ in self._kept]
        return f"{len(stamps)} images of {min(stamps) / 1e9:.3f} to {max(stamps) / 1e9:.3f} s are buffered"

    def clear(self) -> None:
        """Drop all images."""
        self._kept.clear()
        self._bytes = 0

    def forget_old(self) -> None:
        """Drop images that are too old; called regularly, as the camera may have stopped."""
        oldest = time.monotonic() - self.seconds
        while self._kept and self._kept[0][0] < oldest:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self._bytes -= len(self._kept.popleft()[2].data)
