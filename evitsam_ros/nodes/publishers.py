# SPDX-License-Identifier: Apache-2.0
"""Publish the masks of a camera; a message without a subscriber is not made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from ..segment import Frame, Masks, draw_label_map
from ..segment.mask_grid import GRIDS
from ..segment.object_numbers import draw_numbers
from ..segment.overlay import draw_notice
from . import messages
from .camera_context import CameraContext
from .camera_info_output import CameraInfoOutput
from .compressed_outputs import CompressedOutputs
from .depth_output import DepthOutput
from .instances import ObjectLabel
from .instances_output import InstancesOutput
from .managed_entities import ManagedEntities
from .messages import LabelMaps
from .parameters import SegmenterParameters
from .qos import latched, results

try:
    from vision_msgs.msg import Detection2DArray, LabelInfo
except ImportError:  # the node works without; it logs that when it is configured
    Detection2DArray = LabelInfo = None

#: Seconds to wait for compressed outputs when a camera pauses.
FLUSH_TIMEOUT = 2.0


class Publishers:
    """``label_map``, ``mask``, ``overlay``, ``detections`` and ``label_info`` of one camera, and the others.

    Args:
        node: resolves topics.
        entities: makes the publishers.
        context: of the camera.
        parameters: as configured: pixels and encoding of the label map.
        depth: publishes points and boxes in space; None without ``enable_depth``.
        instances: publishes objects with cropped masks; None without evitsam_interfaces.
        camera_info: publishes the calibration of masks with other pixels than the image's; None without.
    """

    def __init__(
        self,
        node: Any,
        entities: ManagedEntities,
        context: CameraContext,
        parameters: SegmenterParameters,
        depth: DepthOutput | None = None,
        instances: InstancesOutput | None = None,
        camera_info: CameraInfoOutput | None = None,
    ) -> None:
        prefix = context.outputs
        self._depth, self._instances, self._camera_info = depth, instances, camera_info
        self._report_error = context.report_error
        self._grid = GRIDS[parameters.output_scale]
        self._label_encoding = parameters.label_encoding
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
        images = self._subscribed() or self._compressed.subscribed()
        has_instances = self._instances is not None and self._instances.is_subscribed
        return bool(images or self._subscribed_3d() or has_instances)

    def subscriptions(self) -> int:
        """Return the number of subscriptions of all outputs that are no image."""
        made = [*self._others.values(), *(self._depth.publishers if self._depth is not None else ())]
        of_instances = self._instances.subscriptions if self._instances is not None else 0
        return sum(publisher.get_subscription_count() for publisher in made) + of_instances

    def expect_depth(self, header: Header) -> None:
        """Hold the depth of an image from the start of its processing."""
        if self._depth is not None:
            self._depth.expect(header)

    def resume(self) -> None:
        """Publish the names with the next masks: subscribers received no messages while the node was
        inactive.
        """
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
        objects: Mapping[int, ObjectLabel],
    ) -> None:
        """Publish the outputs that have a subscriber, with the header of the image.

        Args:
            header: of the image.
            frame: the image.
            masks: of the image.
            names: of the objects, by id; an empty name is "object".
            parameters: how to draw the overlay and boxes.
            objects: facts about prompted objects, by id.
        """
        labels = LabelMaps(masks, self._grid)
        scores = {i: item.score for i, item in objects.items() if item.score is not None}
        self._publish_images(header, labels, lambda: _overlay(frame, labels.of_image, parameters))
        if self._depth is not None and self._subscribed_3d():
            self._depth.publish(
                header,
                frame.image,
                masks,
                labels.of_image,
                names,
                scores,
                filled_boxes=parameters.filled_boxes,
            )
        if self._instances is not None and self._instances.is_subscribed:
            of_image = labels.of_image if self._instances.needs_labels else None
            self._instances.publish(header, masks, of_image, objects)
        if self._camera_info is not None and self._camera_info.is_subscribed:
            self._camera_info.publish(header, masks)
        if "detections" in self._subscribed():
            self._others["detections"].publish(messages.detections_message(header, masks, names, scores))
        self._publish_names(header, names)

    def publish_empty(self, header: Header, nothing: Masks | None, reason: str | None) -> None:
        """Publish that there are no objects: black images, empty arrays and clouds.

        Args:
            header: of the last processed image.
            nothing: none of that image's masks; None before any image: only outputs without a size are sent.
            reason: shown in the overlay; None: images are not published again.
        """
        size = None
        if nothing is not None:
            size = nothing.image_size
            if reason is not None:
                notice = draw_notice(size, reason)
                self._publish_images(header, LabelMaps(nothing, self._grid), lambda: notice)
            self._publish_names(header, {})
        if "detections" in self._subscribed():
            self._others["detections"].publish(Detection2DArray(header=header))
        if self._depth is not None:
            self._depth.publish_empty(header, size)
        if self._instances is not None and self._instances.is_subscribed:
            self._instances.publish_empty(header, nothing)

    def _publish_names(self, header: Header, names: dict[int, str]) -> None:
        """Publish the names on every change; they are latched, for later subscribers."""
        if "label_info" in self._others and names != self._published_names:
            self._published_names = names
            self._others["label_info"].publish(messages.label_info_message(header, names, 0.0))

    def _publish_images(self, header: Header, labels: LabelMaps, overlay: Callable[[], np.ndarray]) -> None:
        make: dict[str, tuple[str, Callable[[], np.ndarray]]] = {
            "label_map": (self._label_encoding, lambda: self._label_pixels(labels.of_grid)),
            "mask": ("mono8", lambda: messages.mask_pixels(labels.of_grid)),
            "overlay": ("rgb8", overlay),
        }
        raw, compressed = self._subscribed() & make.keys(), self._compressed.subscribed()
        for name in raw | compressed:
            encoding, pixels = make[name][0], make[name][1]()
            if name in raw:
                self._images[name].publish(messages.image_message(header, pixels, encoding))
            if name in compressed:
                self._compressed.publish(name, header, pixels)

    def _label_pixels(self, labels: np.ndarray) -> np.ndarray:
        """Return the label map in its encoding; report ids that do not fit it."""
        if self._label_encoding == "mono16":
            return labels
        if labels.size and (largest := int(labels.max())) > messages.MAX_SMALL_ID:
            self._report_error(
                "ids_left_out",
                f"label_map: the id {largest} does not fit label_encoding: mono8; expected at most "
                f"{messages.MAX_SMALL_ID}. Use mono16, or fewer objects",
            )
        return messages.small_labels(labels)

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
