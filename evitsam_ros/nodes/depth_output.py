# SPDX-License-Identifier: Apache-2.0
"""Publish labelled points and boxes in space, from masks and depth, in the frame of the image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from ..geometry3d import ObjectInSpace, box_around, labelled_points, no_points, objects_in_space
from ..segment import Masks
from .aligned_depth import AlignedDepth
from .calibration import Calibration
from .camera_context import CameraContext
from .managed_entities import ManagedEntities
from .markers import MarkerLifetime, object_markers
from .messages_3d import detections_3d_message, points_message
from .parameters import SegmenterParameters
from .qos import results

try:
    from vision_msgs.msg import Detection3DArray
except ImportError:
    Detection3DArray = None


class DepthOutput:
    """``points``, ``boxes_3d`` and ``detections_3d`` of one camera.

    Args:
        node: a node with a running executor.
        entities: makes the subscriptions and the publishers.
        context: of the camera.
        calibration: of the camera.
        parameters: as configured.
    """

    def __init__(
        self,
        node: Any,
        entities: ManagedEntities,
        context: CameraContext,
        calibration: Calibration,
        parameters: SegmenterParameters,
    ) -> None:
        self._organized = parameters.organized_cloud
        self._depth = AlignedDepth(node, entities, context, calibration, parameters)
        self._lifetime = MarkerLifetime()
        kinds = {"points": PointCloud2, "boxes_3d": MarkerArray}
        if Detection3DArray is not None:
            kinds["detections_3d"] = Detection3DArray
        self._publishers = {
            name: entities.publisher(kind, context.outputs + name, results()) for name, kind in kinds.items()
        }

    def subscribed(self) -> set[str]:
        """Return the outputs that have a subscriber."""
        return {name for name, made in self._publishers.items() if made.get_subscription_count() > 0}

    def expect(self, header: Header) -> None:
        """Hold the depth of an image from the start of its processing to the end."""
        self._depth.expect(header)

    def publish(
        self,
        header: Header,
        image: np.ndarray,
        masks: Masks,
        labels: np.ndarray,
        names: dict[int, str],
        prompt_scores: Mapping[int, float],
        *,
        filled_boxes: bool = False,
    ) -> None:
        """Publish points and boxes under the masks of an image; without its depth they are empty.

        Args:
            header: of the image.
            image: ``(H, W, 3)`` uint8 RGB.
            masks: of the image.
            labels: ``(H, W)`` uint16 label map.
            names: of the objects, by id; an empty name is "object".
            prompt_scores: scores of the detector that found them, by id.
            filled_boxes: draw the faces of boxes in RViz.
        """
        wanted = self.subscribed()
        if not wanted:
            return
        scores = dict(zip(masks.object_ids.tolist(), masks.scores.tolist(), strict=True))
        cloud, boxes = no_points(labels.shape, self._organized), {}
        found = self._depth.find(header, labels)
        if found is not None:
            depths, camera = found
            if "points" in wanted:
                cloud = labelled_points(depths, camera, image, labels, scores, self._organized)
            if wanted - {"points"}:
                around = {i: box_around(labels == i, depths, camera) for i in scores}
                boxes = {i: box for i, box in around.items() if box is not None}
        self._publish(
            {
                "points": lambda: points_message(header, cloud),
                "boxes_3d": lambda: object_markers(
                    header, boxes, scores, names, self._lifetime.next(), filled=filled_boxes
                ),
                "detections_3d": lambda: detections_3d_message(header, boxes, scores, names, prompt_scores),
            }
        )

    def publish_empty(self, header: Header, size: tuple[int, int] | None) -> None:
        """Publish unknown depth.

        Args:
            header: of the last image.
            size: (H, W) of that image; None if there was none. A cloud needs a frame, which comes with it.
        """
        messages: dict[str, Callable[[], Any]] = {
            "boxes_3d": lambda: object_markers(header, {}, {}, {}, 0.0),
            "detections_3d": lambda: detections_3d_message(header, {}, {}, {}),
        }
        if size is not None:
            messages["points"] = lambda: points_message(header, no_points(size, self._organized))
        self._publish(messages)

    @property
    def publishers(self) -> Iterable[Any]:
        """Return the publishers."""
        return self._publishers.values()

    def _publish(self, messages: dict[str, Callable[[], Any]]) -> None:
        """Make and publish the messages that have a subscriber."""
        for name in messages.keys() & self.subscribed():
            self._publishers[name].publish(messages[name]())

    def objects_in_space(
        self, header: Header, ids: Sequence[int], labels: np.ndarray
    ) -> dict[int, ObjectInSpace] | None:
        """Return where the objects of an image are, by id; None without its depth, which is reported.

        Args:
            header: of the image; the result is in its frame.
            ids: values of the label map.
            labels: ``(H, W)`` uint16 label map.
        """
        found = self._depth.find(header, labels)
        return None if found is None else objects_in_space(labels, ids, *found)
