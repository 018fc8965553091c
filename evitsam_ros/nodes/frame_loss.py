# SPDX-License-Identifier: Apache-2.0
"""Estimate the share of a camera's frames that is lost, by their stamps."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .diagnostics import CameraDiagnostics

#: Max number of stored intervals.
WINDOW = 60
#: Fewer intervals give no estimate.
MIN_INTERVALS = 20


class FrameLossMonitor:
    """Find gaps in the stamps of a camera that takes images at regular times.

    A loss that is itself regular (every second frame) looks like a slower camera.
    """

    #: A larger share of lost frames is worth a warning.
    WARN_RATIO = 0.3

    def __init__(self) -> None:
        self._last: float | None = None
        self._intervals: deque[float] = deque(maxlen=WINDOW)

    def add(self, stamp: float) -> None:
        """Add the next frame's stamp, seconds; one that is not later restarts the estimate."""
        if self._last is not None and stamp > self._last:
            self._intervals.append(stamp - self._last)
        elif self._last is not None:
            self._intervals.clear()
        self._last = stamp

    @property
    def loss_ratio(self) -> float:
        """Return the share of lost frames, 0 to 1; 0 while too few have arrived."""
        if len(self._intervals) < MIN_INTERVALS:
            return 0.0
        intervals = np.array(self._intervals)
        # The period is that of the frames which came one after the other.
        short = np.quantile(intervals, 0.1)
        period = np.median(intervals[intervals < 1.5 * short])
        taken = np.maximum(np.rint(intervals / period), 1).sum()
        return float(1 - len(intervals) / taken)


class FrameLossReport:
    """Publish the share of a camera's frames that is lost in its diagnostics.

    Args:
        diagnostics: of the camera.
        topic: of the images.
    """

    def __init__(self, diagnostics: CameraDiagnostics, topic: str) -> None:
        self._diagnostics, self._topic, self._monitor = diagnostics, topic, FrameLossMonitor()

    def add(self, stamp: float) -> None:
        """Add the next frame's stamp, seconds."""
        self._monitor.add(stamp)
        ratio = self._monitor.loss_ratio
        self._diagnostics.note("frames_missing_by_stamps", [f"{ratio:.0%}"])
        if ratio > FrameLossMonitor.WARN_RATIO:
            self._diagnostics.warn(
                "frames_missing",
                f"{self._topic}: {ratio:.0%} of the frames do not arrive (by their stamps); "
                "with Fast DDS start the camera with FASTRTPS_DEFAULT_PROFILES_FILE=…/fastdds_images.xml, or "
                "use image_transport: compressed",
            )
