# SPDX-License-Identifier: Apache-2.0
"""Write the masks of a frame into a bag, as the messages that the node publishes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ...segment import Frame, Masks, draw_overlay
from .channel import COMPRESSED, IMAGE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .writer import BagWriter

DETECTIONS_TYPE = "vision_msgs/msg/Detection2DArray"


class AnswerMessages:
    """Write label maps, overlays and, where vision_msgs is known, detections to their topics.

    Attributes:
        has_detections: Whether the definition of vision_msgs is known.
    """

    def __init__(self, writer: BagWriter, label_map: str, overlay: str, detections: str) -> None:
        self._writer = writer
        self._label_map, self._overlay = writer.add(label_map, IMAGE), writer.add(overlay, COMPRESSED)
        self.has_detections = writer.knows(DETECTIONS_TYPE)
        self._detections = writer.add(detections, DETECTIONS_TYPE) if self.has_detections else None

    def write(
        self, time: int, header: Any, frame: Frame, masks: Masks, names: Mapping[int, str] | None = None
    ) -> None:
        """Write the results of a frame.

        Args:
            time: of the messages, nanoseconds.
            header: of the image.
            frame: the image.
            masks: of the image.
            names: of objects by id; others are "object".
        """
        types = self._writer.types
        head = copied_header(types, header)
        self._writer.write(self._label_map, time, label_message(types, head, masks.label_map()))
        self._writer.write(self._overlay, time, jpeg_message(types, head, draw_overlay(frame.image, masks)))
        if self._detections is not None:
            self._writer.write(self._detections, time, _detections(types, head, masks, names or {}))


def copied_header(types: Mapping[str, Any], header: Any) -> Any:
    """Return a header of another type store in this one's types."""
    stamp = types["builtin_interfaces/msg/Time"](header.stamp.sec, header.stamp.nanosec)
    return types["std_msgs/msg/Header"](stamp, header.frame_id)


def label_message(types: Mapping[str, Any], head: Any, labels: np.ndarray) -> Any:
    """Return a label map ``(H, W)`` uint8 or uint16 as mono8 or mono16."""
    height, width = labels.shape
    encoding, step = f"mono{8 * labels.itemsize}", labels.itemsize * width
    return types[IMAGE](head, height, width, encoding, 0, step, labels.view(np.uint8).reshape(-1))


def jpeg_message(types: Mapping[str, Any], head: Any, image: np.ndarray) -> Any:
    """Return ``(H, W, 3)`` uint8 RGB as a JPEG."""
    jpeg = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].reshape(-1)
    return types[COMPRESSED](head, "jpeg", jpeg)


def _detections(types: Mapping[str, Any], head: Any, masks: Masks, names: Mapping[int, str]) -> Any:
    """Return one Detection2D for each mask, as in the node's ``~/detections``."""
    found = []
    for box, score, identity in zip(
        masks.boxes.tolist(), masks.scores.tolist(), masks.object_ids, strict=True
    ):
        x, y, width, height = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1]
        hypothesis = types["vision_msgs/msg/ObjectHypothesisWithPose"](
            types["vision_msgs/msg/ObjectHypothesis"](names.get(int(identity)) or "object", score),
            _pose(types),
        )
        centre = types["vision_msgs/msg/Pose2D"](types["vision_msgs/msg/Point2D"](x, y), 0.0)
        place = types["vision_msgs/msg/BoundingBox2D"](centre, width, height)
        found.append(types["vision_msgs/msg/Detection2D"](head, [hypothesis], place, str(identity)))
    return types[DETECTIONS_TYPE](head, found)


def _pose(types: Mapping[str, Any]) -> Any:
    """Return an empty pose, which Detection2D requires."""
    point = types["geometry_msgs/msg/Point"](0.0, 0.0, 0.0)
    pose = types["geometry_msgs/msg/Pose"](point, types["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0))
    return types["geometry_msgs/msg/PoseWithCovariance"](pose, np.zeros(36))
