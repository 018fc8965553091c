# SPDX-License-Identifier: Apache-2.0
"""A latency budget that cannot be kept, and labels that somebody listens to alone."""

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import Image


def newest(robot) -> DiagnosticStatus:
    return robot.status[-1].status[0]


def test_an_impossible_budget_is_a_warning_and_masks_are_published(robots):
    robot = robots(mode="everything", latency_budget_ms=0.01, backend="onnxruntime")
    robot.wait_state("active")
    for _ in range(8):
        robot.answer(Image, "label_map", seconds=120)
    assert robot.peer.until(lambda: newest(robot).level == DiagnosticStatus.WARN, 600), robot.diagnostics
    assert "latency_budget_ms is 0" in newest(robot).message and "raise it" in newest(robot).message
    # The bundle proposes less than the fewest prompts.
    assert robot.diagnostics["prompts_left_out"] == "0"
    assert robot.process.output.count("latency_budget_ms is") == 1


def test_a_budget_that_is_kept_is_no_warning(robots):
    robot = robots(mode="everything", latency_budget_ms=60000.0, backend="onnxruntime")
    robot.wait_state("active")
    for _ in range(5):
        robot.answer(Image, "label_map", seconds=120)
    robot.peer.until(lambda: False, 0.6)
    assert newest(robot).level == DiagnosticStatus.OK, newest(robot).message
    assert "latency_budget_ms" not in robot.process.output


def test_label_maps_are_published_for_their_subscriber_alone(robots):
    messages = pytest.importorskip("vision_msgs.msg", reason="vision_msgs is not built")
    robot = robots(mode="everything", backend="onnxruntime")
    robot.wait_state("active")
    heard = robot.peer.listen(messages.LabelInfo, robot.topic("label_info"))
    for _ in range(60):
        robot.send_image()
        if robot.peer.until(lambda: bool(heard), 1.0):
            break
    # One of the bundle's two proposals lies in the image, the other in its padding.
    assert {entry.class_id for entry in heard[-1].class_map} == {0, 1}
