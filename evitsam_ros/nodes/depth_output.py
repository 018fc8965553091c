# SPDX-License-Identifier: Apache-2.0
"""Depth in, labelled points and boxes in space out, in the frame of the image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from ..segment import Masks
from ..space import Box3D, CameraModel, box_around, check_aligned, labelled_points, no_points
from .calibration import Calibration
from .depth_input import DepthInput, NoDepthError
from .managed_entities import ManagedEntities
from .messages_3d import box_marker, detections_3d_message, points_message
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
        inputs, private: before the names of inputs and outputs.
        calibration: of the camera.
        options: the node's parameters.
        report_error: told (kind, text) of what cannot be used.
    """

    def __init__(
        self,
        node: Any,
        entities: ManagedEntities,
        inputs: str,
        private: str,
        calibration: Calibration,
        options: dict[str, Any],
        report_error: Callable[[str, str], None],
    ) -> None:
        self._calibration, self._report_error = calibration, report_error
        self._organised = options["organised_points"]
        self._depth = DepthInput(node, entities, inputs, options, report_error)
        self._shown: set[int] = set()
        kinds = {"points": PointCloud2, "boxes_3d": MarkerArray}
        if Detection3DArray is not None:
            kinds["detections_3d"] = Detection3DArray
        self._publishers = {
            name: entities.publisher(kind, private + name, results()) for name, kind in kinds.items()
        }

    def listeners(self) -> set[str]:
        """Which of the outputs somebody listens to."""
        return {name for name, made in self._publishers.items() if made.get_subscription_count() > 0}

    def expect(self, header: Header) -> None:
        """Hold the depth of an image whose answer begins, however long it takes."""
        self._depth.expect(header)

    def publish(
        self, header: Header, image: np.ndarray, masks: Masks, labels: np.ndarray, names: dict[int, str]
    ) -> None:
        """Publish what is under the masks of an image; nothing is there, and a report, without its depth.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            labels: ``(H, W)`` uint16 label map.
            names: of the objects, by id; an empty name is "object".
        """
        wanted = self.listeners()
        if not wanted:
            return
        scores = dict(zip(masks.object_ids.tolist(), masks.scores.tolist(), strict=True))
        cloud, boxes = no_points(labels.shape, self._organised), {}
        found = self._aligned(header, labels)
        if found is not None:
            depths, camera = found
            if "points" in wanted:
                cloud = labelled_points(depths, camera, image, labels, scores, self._organised)
            if wanted - {"points"}:
                around = {i: box_around(labels == i, depths, camera) for i in scores}
                boxes = {i: box for i, box in around.items() if box is not None}
        messages = {
            "points": lambda: points_message(header, cloud),
            "boxes_3d": lambda: self._markers(header, boxes),
            "detections_3d": lambda: detections_3d_message(header, boxes, scores, names),
        }
        for name in wanted:
            self._publishers[name].publish(messages[name]())

    def _aligned(self, header: Header, labels: np.ndarray) -> tuple[np.ndarray, CameraModel] | None:
        """The image's depth and its camera; None, and a report, if something is missing or wrong."""
        topics = f"{self._depth.topic}, {self._calibration.topic}"
        try:
            camera = self._calibration.model()
            if camera is None:
                raise NoDepthError(f"no {self._calibration.topic} has come yet")
            depths = self._depth.aligned(header, camera)
            check_aligned(depths, labels, camera)
        except NoDepthError as error:
            self._report_error("no_depth", f"{topics}: {error}; points and boxes in space are empty without")
        except ValueError as error:
            self._report_error("bad_depth", f"{topics}: {error}")
        else:
            return depths, camera
        return None

    def _markers(self, header: Header, boxes: dict[int, Box3D]) -> MarkerArray:
        """Boxes for RViz; those of objects that are gone are taken away."""
        gone = self._shown - set(boxes)
        self._shown = set(boxes)
        markers = [Marker(header=header, ns="objects", id=i, action=Marker.DELETE) for i in sorted(gone)]
        return MarkerArray(markers=markers + [box_marker(header, i, box) for i, box in boxes.items()])
