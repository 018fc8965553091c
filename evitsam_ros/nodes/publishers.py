# SPDX-License-Identifier: Apache-2.0
"""What a camera's masks are published as; nothing is made that nobody listens to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from ..segment import Frame, Masks, draw_label_map
from . import messages
from .managed_entities import ManagedEntities
from .qos import latched, results

try:
    from vision_msgs.msg import Detection2DArray, LabelInfo
except ImportError:  # the node works without; it says so when it configures
    Detection2DArray = LabelInfo = None


class MaskPublishers:
    """``label_map``, ``mask``, ``overlay``, ``detections`` and ``label_info`` of one camera.

    Args:
        entities: makes the publishers.
        prefix: before every name: ``~/``, or ``~/CAMERA/``.
    """

    def __init__(self, entities: ManagedEntities, prefix: str) -> None:
        self._publishers = {
            name: entities.publisher(Image, prefix + name, results())
            for name in ("label_map", "mask", "overlay")
        }
        self._label_info = None
        self._names: dict[int, str] | None = None
        if Detection2DArray is not None:
            self._publishers["detections"] = entities.publisher(
                Detection2DArray, prefix + "detections", results()
            )
            self._label_info = entities.publisher(LabelInfo, prefix + "label_info", latched())
            self._publishers["label_info"] = self._label_info

    def listeners(self) -> set[str]:
        """Return the outputs that somebody listens to."""
        return {name for name, made in self._publishers.items() if made.get_subscription_count() > 0}

    def resume(self) -> None:
        """Publish the names with the next masks: what was published while inactive went nowhere."""
        self._names = None

    def publish(
        self,
        header: Header,
        frame: Frame,
        masks: Masks,
        names: dict[int, str],
        listeners: set[str],
        overlay_alpha: float,
        with_labels: Callable[[np.ndarray], Any] | None = None,
    ) -> None:
        """Publish what ``listeners`` asks for, with the header of the image.

        Args:
            names: of the objects, by id; an empty name is "object".
            with_labels: called with the label map ``(H, W)`` uint16, which others need too.
        """
        if with_labels is not None or listeners & {"label_map", "mask", "overlay"}:
            labels = masks.label_map()
            made = {
                "label_map": lambda: messages.label_map_message(header, labels),
                "mask": lambda: messages.mask_message(header, labels),
                "overlay": lambda: messages.image_message(
                    header, draw_label_map(frame.image, labels, overlay_alpha), "rgb8"
                ),
            }
            for name in made.keys() & listeners:
                self._publishers[name].publish(made[name]())
            if with_labels is not None:
                with_labels(labels)
        if "detections" in listeners:
            self._publishers["detections"].publish(messages.detections_message(header, masks, names))
        if self._label_info is not None and names != self._names:
            # Latched: published when it changes, whether or not anybody listens yet.
            self._names = names
            self._label_info.publish(messages.label_info_message(header, names, 0.0))
