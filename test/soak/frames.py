# SPDX-License-Identifier: Apache-2.0
"""Images to a robot and its masks back, and for how long."""

from __future__ import annotations

import os
from collections.abc import Callable

from sensor_msgs.msg import Image

#: Seconds of the 30 Hz camera.
SECONDS = float(os.environ.get("EVITSAM_SOAK_SECONDS", "4"))
WHOLE = "EVITSAM_SOAK_SECONDS" in os.environ


def send(robot, count: int, period: float = 0.03) -> list[int]:
    """Images in the rhythm of a camera; the seconds of their stamps."""
    stamps = []
    for _ in range(count):
        stamps.append(robot.send_image().header.stamp.sec)
        robot.peer.until(lambda: False, period)
    return stamps


def answered_mask(robot, good: Callable[[Image], bool], seconds: float = 150.0) -> Image | None:
    """The next mask that is ``good``."""
    found: list[Image] = []

    def come() -> bool:
        found.extend(mask for mask in robot.masks if good(mask))
        robot.masks.clear()
        return bool(found)

    robot.peer.until(come, seconds)
    return found[0] if found else None


def stamp(message) -> float:
    return message.header.stamp.sec + message.header.stamp.nanosec * 1e-9
