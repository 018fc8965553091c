# SPDX-License-Identifier: Apache-2.0
"""Quality of service and transports of the topics."""

from __future__ import annotations

from typing import Any

from rclpy.qos import QoSDurabilityPolicy, QoSHistoryPolicy, QoSProfile, QoSReliabilityPolicy

RELIABILITY = {
    "best_effort": QoSReliabilityPolicy.BEST_EFFORT,
    "reliable": QoSReliabilityPolicy.RELIABLE,
}


class CameraQoS(QoSProfile):
    """Quality of service with the reliability of the node's parameter ``reliability``."""


def newest_only(reliability: str) -> CameraQoS:
    """Return a profile of depth 1: an image that waits in a queue is old.

    ``best_effort`` matches every publisher. ``reliable`` gets big images through lossy transports, but
    matches reliable publishers only.
    """
    return CameraQoS(history=QoSHistoryPolicy.KEEP_LAST, depth=1, reliability=RELIABILITY[reliability])


def results(depth: int = 2) -> QoSProfile:
    """Return a reliable and volatile profile: it matches reliable (RViz) and best-effort subscribers."""
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST, depth=depth, reliability=QoSReliabilityPolicy.RELIABLE
    )


def latched() -> QoSProfile:
    """Return a profile that keeps the last message for later subscribers."""
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST,
        depth=1,
        reliability=QoSReliabilityPolicy.RELIABLE,
        durability=QoSDurabilityPolicy.TRANSIENT_LOCAL,
    )


def transport_topic(node: Any, base: str, transport: str) -> str:
    """Return the topic of an image in a transport.

    The base topic is remapped, and the transport appended to its new name: ``image:=/front/image_raw`` gives
    ``/front/image_raw/compressed``. A remapping of ``image/compressed`` itself works as well.

    Args:
        node: its remappings and its namespace apply.
        base: topic of the raw image.
        transport: ``raw``, or the name of a transport.
    """
    return base if transport == "raw" else f"{node.resolve_topic_name(base)}/{transport}"
