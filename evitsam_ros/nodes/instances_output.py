# SPDX-License-Identifier: Apache-2.0
"""Publish ``instances`` of one camera: every object with its mask, class name, and place in space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from std_msgs.msg import Header

from ..geometry3d import TransformError
from ..segment import Masks
from ..segment.mask_grid import MaskGrid
from .camera_context import CameraContext
from .depth_output import DepthOutput
from .instances import ObjectLabel, Space, instances_message
from .managed_entities import ManagedEntities
from .qos import results
from .recent_images import stamp_ns
from .transforms import Transforms


class InstancesOutput:
    """``instances``; it needs evitsam_interfaces.

    Args:
        node: a node with a running executor.
        entities: makes the publisher and the subscriptions.
        context: of the camera.
        grid: pixels of the masks.
        depth: knows where objects are in space; None without depth.
        target_frame: frame of points and boxes in space; empty: the camera's.
    """

    def __init__(
        self,
        node: Any,
        entities: ManagedEntities,
        context: CameraContext,
        grid: MaskGrid,
        depth: DepthOutput | None,
        target_frame: str,
    ) -> None:
        from evitsam_interfaces.msg import InstanceArray

        self._context, self._grid, self._depth, self._target = context, grid, depth, target_frame
        self._topic = context.outputs + "instances"
        self._publisher = entities.publisher(InstanceArray, self._topic, results())
        self._transforms, self._no_transforms = None, ""
        if target_frame:
            try:
                self._transforms = Transforms(node, entities, context.report_error)
            except TransformError as error:
                self._no_transforms = str(error)

    @property
    def is_subscribed(self) -> bool:
        """Return whether there is a subscriber."""
        return bool(self._publisher.get_subscription_count() > 0)

    @property
    def subscriptions(self) -> int:
        """Return the number of subscriptions."""
        return int(self._publisher.get_subscription_count())

    @property
    def needs_labels(self) -> bool:
        """Return whether :meth:`publish` uses the label map of the image."""
        return self._depth is not None

    def publish(
        self, header: Header, masks: Masks, labels: np.ndarray | None, objects: Mapping[int, ObjectLabel]
    ) -> None:
        """Publish the objects of an image.

        Args:
            header: of the image.
            masks: of the image.
            labels: ``(H, W)`` uint16 label map of the image, for their places in space; None: not known.
            objects: facts about them beside their masks, by id.
        """
        space = Space() if labels is None else self.locate(header, masks, labels)
        self._publisher.publish(instances_message(header, masks, objects, self._grid, space))

    def publish_empty(self, header: Header, no_masks: Masks | None) -> None:
        """Publish that there are no objects; ``no_masks`` of the last image, None where there was none."""
        from evitsam_interfaces.msg import InstanceArray

        message = InstanceArray(header=header)
        if no_masks is not None:
            message = instances_message(header, no_masks, {}, self._grid)
        self._publisher.publish(message)

    def locate(self, header: Header, masks: Masks, labels: np.ndarray | None = None) -> Space:
        """Return the positions of an image's objects; none without depth, which is reported.

        Args:
            header: of the image.
            masks: of the image.
            labels: ``(H, W)`` uint16 label map of the image; None: compute it.
        """
        if self._depth is None:
            return Space()
        labels = masks.label_map() if labels is None else labels
        found = self._depth.objects_in_space(header, masks.object_ids.tolist(), labels)
        if found is None:
            return Space()
        if not self._target or self._target == header.frame_id:
            return Space(header.frame_id, found)
        try:
            if self._transforms is None:
                raise TransformError(self._no_transforms)
            matrix = self._transforms.matrix(self._target, header.frame_id, stamp_ns(header))
        except TransformError as error:
            text = f"{self._topic}: no place is published in target_frame {self._target!r}: {error}"
            self._context.report_error("no_transform", text)
            return Space()
        return Space(self._target, {i: place.moved(matrix) for i, place in found.items()})
