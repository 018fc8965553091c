# SPDX-License-Identifier: Apache-2.0
"""Size and quality of the frames of one viewer: they adapt to the time that a frame takes to arrive."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Level:
    """A size and a quality of frames.

    Attributes:
        side: maximum side of the frame, pixels; larger images are shrunk.
        quality: of the JPEG, 0 to 100.
    """

    side: int
    quality: int


LEVELS = (Level(320, 40), Level(480, 55), Level(640, 70), Level(960, 75), Level(1280, 80), Level(1920, 85))
#: Level of a new viewer.
FIRST = 2
#: Seconds from sending a frame to its being drawn, above which a frame was too large.
SLOW = 0.25
#: The same, below which a larger frame may be tried.
FAST = 0.1
#: Frames in a row that were fast before the next level.
PATIENCE = 8


class Pace:
    """Choose the level of one viewer. One frame at a time is on its way, so the rate adapts by itself.

    Attributes:
        level: index of :data:`LEVELS`.
    """

    def __init__(self) -> None:
        self.level = FIRST
        self._sent = 0.0
        self._fast = 0

    def sent(self, now: float) -> None:
        """Note that a frame was sent; ``now`` in seconds of a steady clock."""
        self._sent = now

    def shown(self, now: float) -> None:
        """Note that the frame was drawn, and choose the level of the next one."""
        took = now - self._sent
        self._fast = self._fast + 1 if took < FAST else 0
        if took > SLOW:
            self.level = max(0, self.level - 1)
        elif self._fast >= PATIENCE:
            self.level, self._fast = min(len(LEVELS) - 1, self.level + 1), 0
