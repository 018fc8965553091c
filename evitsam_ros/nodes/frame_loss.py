# SPDX-License-Identifier: Apache-2.0
"""Which share of a camera's frames arrives, by their stamps."""

from __future__ import annotations

from collections import deque

import numpy as np

#: Intervals that are looked at.
WINDOW = 60
#: Fewer say nothing.
LEAST = 20


class FrameLossMonitor:
    """Gaps in the stamps of a camera that takes pictures at regular times.

    A loss that is itself regular (every second frame) cannot be told from a slower camera.
    """

    #: More than this share missing is worth a warning.
    WARN_RATIO = 0.3

    def __init__(self) -> None:
        self._last: float | None = None
        self._intervals: deque[float] = deque(maxlen=WINDOW)

    def add(self, stamp: float) -> None:
        """The next frame's stamp, seconds; one that is not later starts anew."""
        if self._last is not None and stamp > self._last:
            self._intervals.append(stamp - self._last)
        elif self._last is not None:
            self._intervals.clear()
        self._last = stamp

    @property
    def missing(self) -> float:
        """Share of the frames that did not come, 0 to 1; 0 while too few came to tell."""
        if len(self._intervals) < LEAST:
            return 0.0
        intervals = np.array(self._intervals)
        # The period is that of the frames which came one after the other.
        short = np.quantile(intervals, 0.1)
        period = np.median(intervals[intervals < 1.5 * short])
        taken = np.maximum(np.rint(intervals / period), 1).sum()
        return float(1 - len(intervals) / taken)
