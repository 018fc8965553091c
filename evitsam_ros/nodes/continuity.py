# SPDX-License-Identifier: Apache-2.0
"""Detect pauses between the frames of a camera."""

from __future__ import annotations

import statistics
from collections import deque

#: Seconds between two frames that count as a pause, unless the frames usually are that far apart.
PAUSE = 2.0
#: Multiple of the usual interval that counts as a pause.
UNUSUAL = 4.0
#: Max number of stored intervals.
WINDOW = 15


class Continuity:
    """Watch the intervals between the processed frames of a camera.

    Motion between two frames is known only if they follow one another. After a pause (the node was disabled,
    the camera stopped or was restarted, the outputs had no subscriber) they may show another scene.
    """

    def __init__(self) -> None:
        self._intervals: deque[float] = deque(maxlen=WINDOW)
        self._last: float | None = None
        self._session: int | None = None

    def is_broken(self, stamp: float, session: int) -> bool:
        """Add a frame; return whether a pause lies before it. The first one follows a pause, too.

        Args:
            stamp: seconds, of the image.
            session: grows when the node is disabled or inactive.
        """
        last, before, self._last, self._session = self._last, self._session, stamp, session
        if last is None or session != before:
            return True
        usual = statistics.median(self._intervals) if self._intervals else 0.0
        if stamp > last:
            self._intervals.append(stamp - last)
        return abs(stamp - last) > max(PAUSE, UNUSUAL * usual)
