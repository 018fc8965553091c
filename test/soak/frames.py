# SPDX-License-Identifier: Apache-2.0
"""Pictures to a robot, and its masks back."""

from __future__ import annotations

from collections.abc import Callable

from sensor_msgs.msg import Image


def send(robot, count: int, period: float = 0.03) -> list[int]:
    """Pictures in the rhythm of a camera; the seconds of their stamps."""
    stamps = []
    for _ in range(count):
        stamps.append(robot.send_image().header.stamp.sec)
        robot.peer.until(lambda: False, period)
    return stamps


def answered_mask(robot, good: Callable[[Image], bool], seconds: float = 15.0) -> Image | None:
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
