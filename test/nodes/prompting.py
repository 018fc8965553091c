# SPDX-License-Identifier: Apache-2.0
"""Prompt a robot by detections."""

from __future__ import annotations

import pytest

from .harness import Robot

vision_msgs = pytest.importorskip("vision_msgs.msg", reason="vision_msgs is not built")


def detection(
    x: float, y: float, width: float = 0.0, height: float = 0.0, identity: str = "", name: str = ""
):
    """Return a Detection2D around a pixel; one without a size is a point."""
    message = vision_msgs.Detection2D(id=identity)
    # rclpy does not check: an int in a float field is sent as garbage.
    message.bbox.center.position.x, message.bbox.center.position.y = float(x), float(y)
    message.bbox.size_x, message.bbox.size_y = float(width), float(height)
    if name:
        result = vision_msgs.ObjectHypothesisWithPose()
        result.hypothesis.class_id = name
        message.results.append(result)
    return message


def prompt(robot: Robot, *detections) -> None:
    """Publish an array without a stamp, and wait until the robot has it."""
    before = robot.count("prompts_in")
    robot.peer.publish(robot.topic("prompts"), vision_msgs.Detection2DArray(detections=list(detections)))
    if detections:
        assert robot.peer.until(lambda: robot.count("prompts_in") > before)
    else:
        robot.peer.until(lambda: False, 0.3)
