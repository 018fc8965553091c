# SPDX-License-Identifier: Apache-2.0
"""Quality of service: what is asked of a camera, and what is offered to RViz."""

from __future__ import annotations

from rclpy.qos import QoSDurabilityPolicy, QoSHistoryPolicy, QoSProfile, QoSReliabilityPolicy

RELIABILITY = {
    "best_effort": QoSReliabilityPolicy.BEST_EFFORT,
    "reliable": QoSReliabilityPolicy.RELIABLE,
}


class CameraQoS(QoSProfile):
    """Quality of service whose reliability is the node's parameter ``reliability``."""


def newest_only(reliability: str) -> CameraQoS:
    """Depth 1: an image that waits in a queue is an old image.

    ``best_effort`` matches every publisher. ``reliable`` gets big images through lossy transports, but
    matches reliable publishers only.
    """
    return CameraQoS(history=QoSHistoryPolicy.KEEP_LAST, depth=1, reliability=RELIABILITY[reliability])


def results(depth: int = 2) -> QoSProfile:
    """Reliable and volatile: matches both kinds of subscribers (RViz asks for reliable by default)."""
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST, depth=depth, reliability=QoSReliabilityPolicy.RELIABLE
    )


def latched() -> QoSProfile:
    """The last message for everyone who comes later."""
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST,
        depth=1,
        reliability=QoSReliabilityPolicy.RELIABLE,
        durability=QoSDurabilityPolicy.TRANSIENT_LOCAL,
    )
