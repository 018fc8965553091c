# SPDX-License-Identifier: Apache-2.0
"""Read the detections of other packages' messages by the names of their fields.

Known: vision_msgs/Detection2DArray (Isaac ROS and others), yolo_msgs/DetectionArray (yolo_ros), apriltag_msgs
and isaac_ros_apriltag_interfaces/AprilTagDetectionArray. None of them has to be installed here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


class UnknownFieldsError(ValueError):
    """Report a message without known detections; the error names its fields."""


@dataclass(frozen=True)
class FoundObject:
    """One detection.

    Attributes:
        sender_id: its id; empty for none.
        class_name: its class.
        score: of the detector; None for none.
        centre: x, y pixels.
        size: width, height pixels.
        angle: of the box, radians.
    """

    sender_id: str
    class_name: str
    score: float | None
    centre: tuple[float, float]
    size: tuple[float, float]
    angle: float = 0.0


def found_objects(message: Any) -> list[FoundObject]:
    """Return the detections of a message.

    Raises:
        UnknownFieldsError: the message, or a detection of it, has other fields than those that are known.
    """
    if not hasattr(message, "detections") or not hasattr(message, "header"):
        raise UnknownFieldsError(f"the message has {_fields(message)}; expected header and detections")
    return [_read(detection) for detection in message.detections]


def _read(detection: Any) -> FoundObject:
    try:
        if hasattr(detection, "corners"):
            return _tag(detection)
        if hasattr(detection, "results"):
            return _vision(detection)
        if hasattr(detection, "class_name"):
            return _yolo(detection)
    except AttributeError as error:
        raise UnknownFieldsError(f"a detection has {_fields(detection)}: {error}") from error
    raise UnknownFieldsError(
        f"a detection has {_fields(detection)}; expected those of vision_msgs, yolo_msgs or apriltag_msgs"
    )


def _vision(detection: Any) -> FoundObject:
    name: str = ""
    score: float | None = None
    if detection.results:
        # Before vision_msgs 4 a result had its class and score itself.
        best = getattr(detection.results[0], "hypothesis", detection.results[0])
        name = str(getattr(best, "class_id", None) or getattr(best, "id", ""))
        score = float(best.score)
    bbox = detection.bbox
    centre = getattr(bbox.center, "position", bbox.center)
    size = (bbox.size_x, bbox.size_y)
    return FoundObject(
        getattr(detection, "id", ""), name, score, (centre.x, centre.y), size, bbox.center.theta
    )


def _yolo(detection: Any) -> FoundObject:
    bbox = detection.bbox
    centre, size = bbox.center.position, (bbox.size.x, bbox.size.y)
    name = detection.class_name or str(detection.class_id)
    return FoundObject(
        str(detection.id), name, float(detection.score), (centre.x, centre.y), size, bbox.center.theta
    )


def _tag(detection: Any) -> FoundObject:
    """Return the upright box around the corners of a tag; tags of one id in one image are rare."""
    xs, ys = [corner.x for corner in detection.corners], [corner.y for corner in detection.corners]
    centre = ((min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2)
    name = f"{detection.family}:{detection.id}"
    return FoundObject(name, name, None, centre, (max(xs) - min(xs), max(ys) - min(ys)))


@dataclass(frozen=True)
class Selection:
    """Which detections are passed on, and by which names.

    Attributes:
        min_score: smallest score; detections without a score pass.
        classes: names that pass; empty: all.
        class_names: names of classes that are numbers, by number.
        grow: factor of the size of a box, for objects larger than their detected part.
        scale: pixels of the image in one of the detector's, for boxes in a resized image.
    """

    min_score: float = 0.0
    classes: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    grow: float = 1.0
    scale: float = 1.0

    def apply(self, objects: Sequence[FoundObject]) -> list[FoundObject]:
        """Return the detections that pass, named and grown; those without a size in pixels do not."""
        named = [self._named(item) for item in objects]
        return [
            item
            for item in named
            if (item.score is None or item.score >= self.min_score)
            and (not self.classes or item.class_name in self.classes)
            and all(math.isfinite(value) and value > 0 for value in item.size)
        ]

    def _named(self, item: FoundObject) -> FoundObject:
        name = item.class_name
        if name.isascii() and name.isdigit() and int(name) < len(self.class_names):
            name = self.class_names[int(name)]
        factor = self.grow * self.scale
        size = (item.size[0] * factor, item.size[1] * factor)
        centre = (item.centre[0] * self.scale, item.centre[1] * self.scale)
        return FoundObject(item.sender_id, name, item.score, centre, size, item.angle)


def _fields(message: Any) -> str:
    known = getattr(message, "get_fields_and_field_types", None)
    names = known() if known is not None else vars(message) if hasattr(message, "__dict__") else ()
    return f"the fields {', '.join(names) or 'none'}"
