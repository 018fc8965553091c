# SPDX-License-Identifier: Apache-2.0
"""Buffer the last depth images of a camera: masks may be ready long after them, or before the next one."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

from .recent_images import stamp_ns

#: Maximum size of the buffer in bytes; the two newest messages are never dropped.
MAX_BYTES = 128_000_000


class RecentDepths:
    """Buffer the depth images of the last seconds, and the one of the image in process.

    Age counts from the arrival, so that clocks may jump. Inference may take longer than the buffer's age
    limit, so the depth of its image is held from :meth:`expect` on. The newest message of a stamp counts. The
    executor's thread writes, the inference thread reads.

    Args:
        seconds: maximum age.
        max_bytes: maximum size.
    """

    def __init__(self, seconds: float, max_bytes: int = MAX_BYTES) -> None:
        self.seconds, self._max_bytes = seconds, max_bytes
        self._lock = threading.Lock()
        self._kept: deque[tuple[float, Any]] = deque()
        self._bytes = 0
        self._expected: int | None = None
        self._held: Any | None = None

    def add(self, message: Any) -> None:
        """Add a message that has arrived."""
        with self._lock:
            self._kept.append((time.monotonic(), message))
            self._bytes += len(message.data)
            oldest = time.monotonic() - self.seconds
            while len(self._kept) > 2 and (self._kept[0][0] < oldest or self._bytes > self._max_bytes):
                self._bytes -= len(self._kept.popleft()[1].data)
            if self._expected is not None:
                self._held = self._nearest([message, self._held], self._expected)

    def expect(self, stamp: int) -> None:
        """Hold the message that belongs to an image, whether it has arrived or not, until the next call.

        Args:
            stamp: of the image, nanoseconds.
        """
        with self._lock:
            if stamp != self._expected:
                self._expected = stamp
                self._held = self._nearest([message for _, message in reversed(self._kept)], stamp)

    def nearest(self, stamp: int) -> Any | None:
        """Return the message with the nearest stamp; None if there is none."""
        with self._lock:
            held = [self._held] if stamp == self._expected else []
            return self._nearest([*(message for _, message in reversed(self._kept)), *held], stamp)

    @staticmethod
    def _nearest(messages: list[Any | None], stamp: int) -> Any | None:
        """Return the message with the nearest stamp; ``messages`` has the newest first."""
        there = [message for message in messages if message is not None]
        return min(there, key=lambda message: abs(stamp_ns(message.header) - stamp), default=None)
