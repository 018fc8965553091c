# SPDX-License-Identifier: Apache-2.0
"""The last images of a camera: a prompt that carries a stamp is answered on the image that has it.

Images are kept rather than embeddings: nothing is encoded that nobody asks about, and a runtime is free to
write the next embedding where the last one was.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any


def stamp_ns(header: Any) -> int:
    """A header's stamp in nanoseconds; 0 means "the newest"."""
    return header.stamp.sec * 1_000_000_000 + header.stamp.nanosec


class RecentImages:
    """At most ``most`` messages of ``most_bytes`` together, none older than ``seconds`` since it came.

    The newest is kept whatever its size. Age counts from the arrival, so that clocks may jump: a bag that
    starts again, a simulation that does.
    """

    def __init__(self, most: int, seconds: float, most_bytes: float = float("inf")) -> None:
        self.seconds = seconds
        self._most, self._most_bytes = most, most_bytes
        self._kept: deque[tuple[float, int, Any]] = deque()
        self._bytes = 0

    def add(self, message: Any) -> None:
        self._kept.append((time.monotonic(), stamp_ns(message.header), message))
        self._bytes += len(message.data)
        while len(self._kept) > 1 and (len(self._kept) > self._most or self._bytes > self._most_bytes):
            self._drop_oldest()

    def newest(self) -> Any | None:
        self.forget_old()
        return self._kept[-1][2] if self._kept else None

    def find(self, stamp: int) -> Any | None:
        """The message with exactly this stamp, nanoseconds."""
        self.forget_old()
        return next((message for _, known, message in reversed(self._kept) if known == stamp), None)

    def nearest(self, stamp: int) -> Any | None:
        self.forget_old()
        return min(self._kept, key=lambda entry: abs(entry[1] - stamp), default=(0, 0, None))[2]

    def seconds_ahead(self, stamp: int) -> float:
        """How much later a stamp is than the newest image's; the smallest amount when no image is kept."""
        self.forget_old()
        return (stamp - self._kept[-1][1]) / 1e9 if self._kept else 1e-9

    def __str__(self) -> str:
        """What is there, for an error."""
        self.forget_old()
        if not self._kept:
            return "no image is kept"
        stamps = [stamp for _, stamp, _ in self._kept]
        return f"{len(stamps)} images of {min(stamps) / 1e9:.3f} to {max(stamps) / 1e9:.3f} s are kept"

    def clear(self) -> None:
        self._kept.clear()
        self._bytes = 0

    def forget_old(self) -> None:
        """Let go of images that are too old; to be called in time where no image comes any more."""
        oldest = time.monotonic() - self.seconds
        while self._kept and self._kept[0][0] < oldest:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self._bytes -= len(self._kept.popleft()[2].data)
