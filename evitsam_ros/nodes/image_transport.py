# SPDX-License-Identifier: Apache-2.0
"""Topics of compressed images, by image_transport's rule."""

from __future__ import annotations

from typing import Any


def transport_topic(node: Any, base: str, transport: str) -> str:
    """Return the topic of an image in a transport.

    The base topic is remapped, and the transport appended to its new name: ``image:=/front/image_raw`` gives
    ``/front/image_raw/compressed``. A remapping of ``image/compressed`` itself works as well.

    Args:
        node: whose remappings and namespace count.
        base: topic of the raw image.
        transport: ``raw``, or the name of a transport.
    """
    return base if transport == "raw" else f"{node.resolve_topic_name(base)}/{transport}"
