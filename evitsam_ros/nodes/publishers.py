# SPDX-License-Identifier: Apache-2.0
"""Publish the masks of a camera; a message without a subscriber is not made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from ..segment import Frame, Masks, draw_label_map
from ..segment.mask_grid import GRIDS, MaskGrid
from . import messages
from .camera_context import CameraContext
from .camera_info_output import CameraInfoOutput
from .depth_output import DepthOutput
from .instances import ObjectLabel
from .instances_output import InstancesOutput
from .managed_entities import ManagedEntities
from .parameters import SegmenterParameters
from .qos import latched, results

try:
    from vision_msgs.msg import Detection2DArray, LabelInfo
except ImportError:  # the node works without; it logs that when it is configured
    Detection2DArray = LabelInfo = None


class LabelMaps:
    """The label maps of an image, each made when it is used first.

    Args:
        masks: of the image.
        grid: pixels of the published label map.
    """

    def __init__(self, masks: Masks, grid: MaskGrid) -> None:
        self._masks, self._grid = masks, grid

    @cached_property
    def of_image(self) -> np.ndarray:
        """Return ``(H, W)`` uint16 in pixels of the image."""
        return self._masks.label_map()

    @cached_property
    def of_grid(self) -> np.ndarray:
        """Return ``(h, w)`` uint16 in pixels of the published label map."""
        return self.of_image if self._grid is GRIDS["image"] else self._grid.label_map(self._masks)


class Publishers:
    """``label_map``, ``mask``, ``overlay``, ``detections`` and ``label_info`` of one camera, and the others.

    Args:
        entities: makes the publishers.
        context: of the camera.
        parameters: as configured: pixels and encoding of the label map.
        depth: publishes points and boxes in space; None without ``enable_depth``.
        instances: publishes objects with cropped masks; None without evitsam_interfaces.
        camera_info: publishes the calibration of masks with other pixels than the image's; None without.
    """

    def __init__(
        self,
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
        self._is_small = parameters.label_encoding == "mono8"
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
        return bool(self._subscribed() or self._subscribed_3d() or self._is_on(self._instances))

    def expect_depth(self, header: Header) -> None:
        """Hold the depth of an image whose processing begins."""
        if self._depth is not None:
            self._depth.expect(header)

    def resume(self) -> None:
        """Publish the names with the next masks: subscribers received nothing while the node was inactive."""
        self._published_names = None

    def publish(
        self,
        header: Header,
        frame: Frame,
        masks: Masks,
        names: dict[int, str],
        overlay_alpha: float,
        objects: Mapping[int, ObjectLabel],
    ) -> None:
        """Publish the outputs that have a subscriber, with the header of the image.

        Args:
            header: of the image.
            frame: the image.
            masks: of the image.
            names: of the objects, by id; an empty name is "object".
            overlay_alpha: opacity of the overlay.
            objects: what is known of prompted objects, by id.
        """
        subscribed, labels = self._subscribed(), LabelMaps(masks, self._grid)
        scores = {i: item.score for i, item in objects.items() if item.score is not None}
        self._publish_images(header, frame, labels, subscribed, overlay_alpha)
        if self._depth is not None and self._subscribed_3d():
            self._depth.publish(header, frame.image, masks, labels.of_image, names, scores)
        if self._instances is not None and self._instances.is_subscribed:
            of_image = labels.of_image if self._instances.needs_labels else None
            self._instances.publish(header, masks, of_image, objects)
        if self._camera_info is not None and self._camera_info.is_subscribed:
            self._camera_info.publish(header, masks)
        if "detections" in subscribed:
            self._others["detections"].publish(messages.detections_message(header, masks, names, scores))
        if "label_info" in self._others and names != self._published_names:
            # Latched: published on every change, for subscribers that come later.
            self._published_names = names
            self._others["label_info"].publish(messages.label_info_message(header, names, 0.0))

    def _publish_images(
        self, header: Header, frame: Frame, labels: LabelMaps, subscribed: set[str], overlay_alpha: float
    ) -> None:
        make: dict[str, Callable[[], Image]] = {
            "label_map": lambda: self._label_map(header, labels.of_grid),
            "mask": lambda: messages.mask_message(header, labels.of_grid),
            "overlay": lambda: messages.image_message(
                header, draw_label_map(frame.image, labels.of_image, overlay_alpha), "rgb8"
            ),
        }
        for name in make.keys() & subscribed:
            self._images[name].publish(make[name]())

    def _label_map(self, header: Header, labels: np.ndarray) -> Image:
        if not self._is_small:
            return messages.label_map_message(header, labels)
        if labels.size and (largest := int(labels.max())) > messages.MAX_SMALL_ID:
            self._report_error(
                "ids_left_out",
                f"label_map: the id {largest} does not fit label_encoding: mono8; expected at most "
                f"{messages.MAX_SMALL_ID}. Use mono16, or fewer objects",
            )
        return messages.small_label_map_message(header, labels)

    @staticmethod
    def _is_on(output: InstancesOutput | None) -> bool:
        return output is not None and output.is_subscribed

    def _subscribed(self) -> set[str]:
        """Return the outputs in the image that have a subscriber."""
        publishers = self._images | self._others
        return {name for name, made in publishers.items() if made.get_subscription_count() > 0}

    def _subscribed_3d(self) -> set[str]:
        return self._depth.subscribed() if self._depth is not None else set()
