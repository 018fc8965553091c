# SPDX-License-Identifier: Apache-2.0
"""Pass the detections of other packages on as prompts: ``detections_in`` to ``detections_out``.

The type of the input is that of its publisher, so that no package of a detector is needed to build this one.
"""

from __future__ import annotations

import math
import sys
from importlib import import_module
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data

from .detection_fields import FoundObject, Selection, UnknownFieldsError, found_objects
from .qos import results
from .runtime import spin_node

#: Seconds between two searches for a publisher, and between two log lines of one kind.
LOOK_EVERY, THROTTLE = 0.5, 5.0
PARAMETERS = {
    "min_score": (0.0, "Smallest score of a detection that is passed on."),
    "classes": ([""], 'Classes that are passed on; [""]: all.'),
    "class_names": ([""], "Names of classes that a detector gives as numbers, in their order."),
    "grow": (1.0, "Factor of the size of a box, for objects larger than their detected part."),
    "scale": (1.0, "Pixels of the image in one of the detector's, for boxes in a resized image."),
}


class DetectionsConverter(Node):
    """Convert detections to vision_msgs/Detection2DArray, with header, ids, names and scores.

    Raises:
        ValueError: a parameter cannot be used.
    """

    def __init__(self) -> None:
        super().__init__("detections_converter")
        for name, (default, description) in PARAMETERS.items():
            self.declare_parameter(name, default, ParameterDescriptor(description=description))
        self._selection = self._read_selection()
        from vision_msgs.msg import Detection2DArray

        self._publisher = self.create_publisher(Detection2DArray, "detections_out", results(10))
        self._topic = self.resolve_topic_name("detections_in")
        self._timer = self.create_timer(LOOK_EVERY, self._look)

    def _read_selection(self) -> Selection:
        values: dict[str, Any] = {name: self.get_parameter(name).value for name in PARAMETERS}
        for name in ("grow", "scale"):
            if not 0 < values[name] <= 100:
                raise ValueError(f"{name} is {values[name]}; expected more than 0 and at most 100")
        if not 0 <= values["min_score"] <= 1:
            raise ValueError(f"min_score is {values['min_score']}; expected 0 to 1")
        classes = tuple(name for name in values["classes"] if name)
        names = tuple(values["class_names"]) if any(values["class_names"]) else ()
        return Selection(values["min_score"], classes, names, values["grow"], values["scale"])

    def _look(self) -> None:
        """Subscribe as soon as there is a publisher, with its type."""
        for info in self.get_publishers_info_by_topic(self._topic):
            kind = message_type(info.topic_type)
            if kind is None:
                self.get_logger().error(
                    f"{self._topic} has the type {info.topic_type}, which is not installed here; source the "
                    "workspace that has it",
                    throttle_duration_sec=THROTTLE,
                )
                continue
            self.create_subscription(kind, "detections_in", self._on_message, qos_profile_sensor_data)
            self.get_logger().info(f"{self._topic}: {info.topic_type}")
            self._timer.cancel()
            return

    def _on_message(self, message: Any) -> None:
        try:
            objects = self._selection.apply(found_objects(message))
        except UnknownFieldsError as error:
            self.get_logger().error(f"{self._topic}: {error}", throttle_duration_sec=THROTTLE)
            return
        self._publisher.publish(detections_message(message.header, objects))


def message_type(name: str) -> type | None:
    """Return the class of a message by its name, ``PACKAGE/msg/NAME``; None if it is not installed."""
    package, _, rest = name.partition("/")
    try:
        return getattr(import_module(f"{package}.msg"), rest.rpartition("/")[2], None)
    except ImportError:
        return None


def detections_message(header: Any, objects: list[FoundObject]) -> Any:
    """Make a vision_msgs/Detection2DArray; a detection without a score has NaN."""
    from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

    message = Detection2DArray(header=header)
    for item in objects:
        detection = Detection2D(header=header, id=item.sender_id)
        centre = getattr(detection.bbox.center, "position", detection.bbox.center)
        centre.x, centre.y = map(float, item.centre)
        detection.bbox.center.theta = float(item.angle)
        detection.bbox.size_x, detection.bbox.size_y = map(float, item.size)
        hypothesis = ObjectHypothesisWithPose()
        hypothesis.hypothesis.class_id = item.class_name
        hypothesis.hypothesis.score = math.nan if item.score is None else item.score
        detection.results.append(hypothesis)
        message.detections.append(detection)
    return message


def main(args: list[str] | None = None) -> int:
    """Run the node; return the exit code."""
    return spin_node("detections_converter", DetectionsConverter, args)


if __name__ == "__main__":
    sys.exit(main())
