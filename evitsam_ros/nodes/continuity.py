# SPDX-License-Identifier: Apache-2.0
"""Whether a camera's frames follow one another, or a pause lies between them."""

from __future__ import annotations

import statistics
from collections import deque

#: Seconds between two frames that are a pause, unless the frames usually are that far apart.
PAUSE = 2.0
#: So many times the usual interval is a pause.
UNUSUAL = 4.0
#: Intervals that are looked at.
WINDOW = 15


class Continuity:
    """The rhythm of the frames of a camera that are answered.

    What moved between two frames is known only if they follow one another. After a pause (the node was
    disabled, the camera stopped or was restarted, nobody listened) they show another scene, perhaps.
    """

    def __init__(self) -> None:
        self._intervals: deque[float] = deque(maxlen=WINDOW)
        self._last: float | None = None
        self._session: object = None

    def is_broken(self, stamp: float, session: object) -> bool:
        """Whether a pause lies before this frame; the first one follows a pause, too.

        Args:
            stamp: seconds, of the image.
            session: another object after the node was disabled or inactive.
        """
        last, before, self._last, self._session = self._last, self._session, stamp, session
        if last is None or session is not before:
            return True
        usual = statistics.median(self._intervals) if self._intervals else 0.0
        if stamp > last:
            self._intervals.append(stamp - last)
        return abs(stamp - last) > max(PAUSE, UNUSUAL * usual)
