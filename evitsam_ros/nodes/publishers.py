# SPDX-License-Identifier: Apache-2.0
"""Publish the masks of a camera; a message without a subscriber is not made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from ..segment import Frame, Masks, draw_label_map
from ..segment.object_numbers import draw_numbers
from ..segment.overlay import draw_notice
from . import messages
from .camera_context import CameraContext
from .compressed_outputs import CompressedOutputs
from .depth_output import DepthOutput
from .managed_entities import ManagedEntities
from .parameters import SegmenterParameters
from .qos import latched, results

try:
    from vision_msgs.msg import Detection2DArray, LabelInfo
except ImportError:  # the node works without; it logs that when it is configured
    Detection2DArray = LabelInfo = None

#: Seconds to wait for compressed outputs when a camera pauses.
FLUSH_TIMEOUT = 2.0


class Publishers:
    """``label_map``, ``mask``, ``overlay``, ``detections`` and ``label_info`` of one camera, and those in 3D.

    Args:
        node: resolves topics.
        entities: makes the publishers.
        context: of the camera.
        depth: publishes points and boxes in space; None without ``enable_depth``.
    """

    def __init__(
        self, node: Any, entities: ManagedEntities, context: CameraContext, depth: DepthOutput | None
    ) -> None:
        self._depth, prefix = depth, context.outputs
        self._images = {
            name: entities.publisher(Image, prefix + name, results())
            for name in ("label_map", "mask", "overlay")
        }
        self._compressed = CompressedOutputs(
            node, entities, prefix, lambda: context.parameters().jpeg_quality, context.report_error
        )
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
        return bool(self._subscribed() or self._compressed.subscribed() or self._subscribed_3d())

    def subscriptions(self) -> int:
        """Return the number of subscriptions of all outputs that are no image."""
        made = [*self._others.values(), *(self._depth.publishers if self._depth is not None else ())]
        return sum(publisher.get_subscription_count() for publisher in made)

    def expect_depth(self, header: Header) -> None:
        """Hold the depth of an image whose processing begins."""
        if self._depth is not None:
            self._depth.expect(header)

    def resume(self) -> None:
        """Publish the names with the next masks: subscribers received nothing while the node was inactive."""
        self._published_names = None

    def flush(self) -> None:
        """Wait until compressed outputs are published."""
        self._compressed.flush(FLUSH_TIMEOUT)

    def stop(self) -> None:
        """End the thread of the compressed outputs."""
        self._compressed.stop()

    def publish(
        self,
        header: Header,
        frame: Frame,
        masks: Masks,
        names: dict[int, str],
        parameters: SegmenterParameters,
    ) -> None:
        """Publish the outputs that have a subscriber, with the header of the image.

        Args:
            header: of the image.
            frame: the image.
            masks: of the image.
            names: of the objects, by id; an empty name is "object".
            parameters: how to draw the overlay and boxes.
        """
        subscribed_3d = self._subscribed_3d()
        if subscribed_3d or self._subscribed_images():
            labels = masks.label_map()
            self._publish_images(header, labels, lambda: _overlay(frame, labels, parameters))
            if self._depth is not None and subscribed_3d:
                self._depth.publish(
                    header, frame.image, masks, labels, names, filled_boxes=parameters.filled_boxes
                )
        if "detections" in self._subscribed():
            self._others["detections"].publish(messages.detections_message(header, masks, names))
        self._publish_names(header, names)

    def publish_empty(self, header: Header, no_masks: Masks | None, reason: str | None) -> None:
        """Publish that there are no objects: black images, empty arrays and clouds.

        Args:
            header: of the last answered image.
            no_masks: none of that image; None where none was answered: only what has no size is published.
            reason: shown in the overlay; None: images are not published again.
        """
        size = None
        if no_masks is not None:
            size = no_masks.image_size
            if reason is not None:
                notice = draw_notice(size, reason)
                self._publish_images(header, no_masks.label_map(), lambda: notice)
            self._publish_names(header, {})
        if "detections" in self._subscribed():
            self._others["detections"].publish(Detection2DArray(header=header))
        if self._depth is not None:
            self._depth.publish_empty(header, size)

    def _publish_names(self, header: Header, names: dict[int, str]) -> None:
        """Publish the names on every change; they are latched, for subscribers that come later."""
        if "label_info" in self._others and names != self._published_names:
            self._published_names = names
            self._others["label_info"].publish(messages.label_info_message(header, names, 0.0))

    def _publish_images(self, header: Header, labels: np.ndarray, overlay: Callable[[], np.ndarray]) -> None:
        make: dict[str, tuple[str, Callable[[], np.ndarray]]] = {
            "label_map": ("mono16", lambda: labels),
            "mask": ("mono8", lambda: messages.mask_pixels(labels)),
            "overlay": ("rgb8", overlay),
        }
        raw, compressed = self._subscribed() & make.keys(), self._compressed.subscribed()
        for name in raw | compressed:
            encoding, pixels = make[name][0], make[name][1]()
            if name in raw:
                self._images[name].publish(messages.image_message(header, pixels, encoding))
            if name in compressed:
                self._compressed.publish(name, header, pixels)

    def _subscribed(self) -> set[str]:
        """Return the outputs in the image that have a subscriber."""
        publishers = self._images | self._others
        return {name for name, made in publishers.items() if made.get_subscription_count() > 0}

    def _subscribed_images(self) -> set[str]:
        return (self._subscribed() & self._images.keys()) | self._compressed.subscribed()

    def _subscribed_3d(self) -> set[str]:
        return self._depth.subscribed() if self._depth is not None else set()


def _overlay(frame: Frame, labels: np.ndarray, parameters: SegmenterParameters) -> np.ndarray:
    drawn = draw_label_map(frame.image, labels, parameters.overlay_alpha)
    if parameters.overlay_ids:
        draw_numbers(drawn, labels)
    return drawn
