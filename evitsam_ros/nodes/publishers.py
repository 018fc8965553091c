# SPDX-License-Identifier: Apache-2.0
"""Publish the masks of a camera; a message without a subscriber is not made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from ..segment import Frame, Masks, draw_label_map
from . import messages
from .depth_output import DepthOutput
from .managed_entities import ManagedEntities
from .qos import latched, results

try:
    from vision_msgs.msg import Detection2DArray, LabelInfo
except ImportError:  # the node works without; it logs that when it is configured
    Detection2DArray = LabelInfo = None


class Publishers:
    """``label_map``, ``mask``, ``overlay``, ``detections`` and ``label_info`` of one camera, and those in 3D.

    Args:
        entities: makes the publishers.
        prefix: before every name: ``~/``, or ``~/CAMERA/``.
        depth: publishes points and boxes in space; None without ``enable_depth``.
    """

    def __init__(self, entities: ManagedEntities, prefix: str, depth: DepthOutput | None) -> None:
        self._depth = depth
        self._images = {
            name: entities.publisher(Image, prefix + name, results())
            for name in ("label_map", "mask", "overlay")
        }
        self._others: dict[str, Any] = {}
        if Detection2DArray is not None:
            self._others = {
                "detections": entities.publisher(Detection2DArray, prefix + "detections", results()),
                "label_info": entities.publisher(LabelInfo, prefix + "label_info", latched()),
            }
        #: Names that were published last.
        self._published_names: dict[int, str] | None = None

    def have_subscribers(self) -> bool:
        """Return whether any output has a subscriber."""
        return bool(self._subscribed() or self._subscribed_3d())

    def expect_depth(self, header: Header) -> None:
        """Hold the depth of an image whose processing begins."""
        if self._depth is not None:
            self._depth.expect(header)

    def resume(self) -> None:
        """Publish the names with the next masks: subscribers received nothing while the node was inactive."""
        self._published_names = None

    def publish(
        self, header: Header, frame: Frame, masks: Masks, names: dict[int, str], overlay_alpha: float
    ) -> None:
        """Publish the outputs that have a subscriber, with the header of the image.

        Args:
            header: of the image.
            frame: the image.
            masks: of the image.
            names: of the objects, by id; an empty name is "object".
            overlay_alpha: opacity of the overlay.
        """
        subscribed, subscribed_3d = self._subscribed(), self._subscribed_3d()
        if subscribed_3d or subscribed & self._images.keys():
            labels = masks.label_map()
            self._publish_images(header, frame, labels, subscribed, overlay_alpha)
            if self._depth is not None and subscribed_3d:
                self._depth.publish(header, frame.image, masks, labels, names)
        if "detections" in subscribed:
            self._others["detections"].publish(messages.detections_message(header, masks, names))
        if "label_info" in self._others and names != self._published_names:
            # Latched: published on every change, for subscribers that come later.
            self._published_names = names
            self._others["label_info"].publish(messages.label_info_message(header, names, 0.0))

    def _publish_images(
        self, header: Header, frame: Frame, labels: np.ndarray, subscribed: set[str], overlay_alpha: float
    ) -> None:
        make: dict[str, Callable[[], Image]] = {
            "label_map": lambda: messages.label_map_message(header, labels),
            "mask": lambda: messages.mask_message(header, labels),
            "overlay": lambda: messages.image_message(
                header, draw_label_map(frame.image, labels, overlay_alpha), "rgb8"
            ),
        }
        for name in make.keys() & subscribed:
            self._images[name].publish(make[name]())

    def _subscribed(self) -> set[str]:
        """Return the outputs in the image that have a subscriber."""
        publishers = self._images | self._others
        return {name for name, made in publishers.items() if made.get_subscription_count() > 0}

    def _subscribed_3d(self) -> set[str]:
        return self._depth.subscribed() if self._depth is not None else set()
