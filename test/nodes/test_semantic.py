# SPDX-License-Identifier: Apache-2.0
"""The semantic node over real DDS: the outputs of a network that sees colours."""

import cv2
import numpy as np
import pytest
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from std_srvs.srv import SetBool

from .colour_classes import COLOURS
from .harness import pixels

vision_msgs = pytest.importorskip("vision_msgs.msg", reason="vision_msgs is not installed")


@pytest.fixture(scope="module")
def view() -> np.ndarray:
    """Three vertical stripes, ``(128, 192, 3)`` uint8 RGB, twice the network's input."""
    return np.repeat(np.array(list(COLOURS.values()), np.uint8), 64, axis=0)[None].repeat(128, axis=0)


@pytest.fixture(scope="module")
def robot(robots, colour_classes):
    made = robots(colour_classes, node="/semantic", module="semantic", backend="onnxruntime", threads=1)
    made.wait_state("active")
    return made


def expected_labels() -> np.ndarray:
    return np.repeat([1, 2, 3], 64)[None].repeat(128, axis=0)


def set_parameter(robot, name: str, value: ParameterValue):
    request = SetParameters.Request(parameters=[Parameter(name=name, value=value)])
    return robot.peer.call(SetParameters, "/semantic/set_parameters", request).results[0]


def double(value: float) -> ParameterValue:
    return ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)


def text(value: str) -> ParameterValue:
    return ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=value)


def names(*values: str) -> ParameterValue:
    return ParameterValue(type=ParameterType.PARAMETER_STRING_ARRAY, string_array_value=list(values))


def test_label_map_has_the_classes_and_the_header_of_the_image(robot, view):
    answer = robot.answer(Image, "label_map", 60.0, image=view)
    assert answer.encoding == "mono8" and answer.header.frame_id == "camera_7"
    labels = pixels(answer)
    assert labels.shape == (128, 192)
    away = np.ones(192, bool)
    away[[*range(56, 72), *range(120, 136)]] = False  # bicubic upsampling moves a border by a part of a cell
    np.testing.assert_array_equal(labels[:, away], expected_labels()[:, away])


def test_names_are_there_for_who_comes_later(robot):
    heard = []
    qos = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
    robot.peer.node.create_subscription(vision_msgs.LabelInfo, "/semantic/label_info", heard.append, qos)
    assert robot.peer.until(lambda: heard, 600)
    found = {entry.class_id: entry.class_name for entry in heard[0].class_map}
    assert found == {0: "void", 1: "stop", 2: "grass", 3: "water"}


def test_overlay_has_the_palette_and_confidence_the_softmax(robot, view):
    assert set_parameter(robot, "overlay_alpha", double(1.0)).successful
    overlay = pixels(robot.answer(Image, "overlay", 60.0, image=view))
    for name, column in zip(COLOURS, (20, 96, 170), strict=True):
        assert tuple(overlay[64, column]) == COLOURS[name]
    answer = robot.answer(Image, "confidence", 60.0, image=view)
    confidence = pixels(answer, np.float32)
    logits = np.array([220, 20, 20]) / 255 * 10
    expected = np.exp(logits[0]) / np.exp(logits).sum()
    assert answer.encoding == "32FC1" and confidence[64, 20] == pytest.approx(expected, rel=1e-3)


def test_classes_threshold_and_resolution_can_be_set_while_it_runs(robot, view):
    assert set_parameter(robot, "classes", names("grass")).successful
    labels = pixels(robot.answer(Image, "label_map", 60.0, image=view))
    assert set(np.unique(labels)) == {0, 2}
    assert set_parameter(robot, "classes", names("")).successful
    assert set_parameter(robot, "resolution", text("network")).successful
    labels = pixels(robot.answer(Image, "label_map", 60.0, image=view))
    np.testing.assert_array_equal(labels, np.repeat([1, 2, 3], 4)[None].repeat(8, axis=0))
    assert set_parameter(robot, "resolution", text("image")).successful
    grey = np.full((128, 192, 3), 90, np.uint8)  # a third for each class
    assert set_parameter(robot, "score_threshold", double(0.5)).successful
    assert not pixels(robot.answer(Image, "label_map", 60.0, image=grey)).any()
    assert set_parameter(robot, "score_threshold", double(0.0)).successful


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("score_threshold", double(1.5), "score_threshold is 1.5; expected 0.0 to 1.0"),
        ("overlay_alpha", double(float("nan")), "overlay_alpha is nan"),
        ("resolution", text("half"), "resolution is 'half'; expected image, network"),
        ("classes", names("moon"), "parameter classes has 'moon'; expected some of stop, grass, water"),
    ],
)
def test_values_that_cannot_be_used_are_rejected(robot, name, value, reason):
    result = set_parameter(robot, name, value)
    assert not result.successful and reason in result.reason


def test_a_damaged_image_costs_its_own_answer_only(robot, view):
    robot.answer(Image, "label_map", 60.0, image=view)
    robot.send_image(image=view, step=3)
    assert robot.peer.until(lambda: robot.count("bad_images") > 0, 600)
    assert "image: step is 3" in robot.diagnostics["last_error"]
    robot.answer(Image, "label_map", 60.0, image=view)
    assert float(robot.diagnostics["latency_network_ms"]) > 0


def test_disabled_it_answers_nothing(robot, view):
    assert robot.peer.call(SetBool, "/semantic/enable", SetBool.Request(data=False)).success
    heard = robot.peer.listen(Image, "/semantic/label_map")
    robot.wait_state("disabled")
    before = len(heard)
    robot.send_image(image=view)
    robot.peer.until(lambda: False, 2.0)
    assert len(heard) == before
    assert robot.peer.call(SetBool, "/semantic/enable", SetBool.Request(data=True)).success
    robot.answer(Image, "label_map", 60.0, image=view)


def test_compressed_images_are_answered(robots, colour_classes, view):
    made = robots(
        colour_classes,
        node="/semantic",
        module="semantic",
        backend="onnxruntime",
        image_transport="compressed",
    )
    made.wait_state("active")
    heard = made.peer.listen(Image, "/semantic/label_map")
    message = CompressedImage(header=Header(frame_id="front"), format="png")
    message.data = cv2.imencode(".png", np.ascontiguousarray(view[..., ::-1]))[1].tobytes()
    made.peer.keep_publishing("/image/compressed", message)
    assert made.peer.until(lambda: heard, 600), made.process.output
    assert heard[0].header.frame_id == "front" and pixels(heard[0])[64, 96] == 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": "KNOWN"}, "the bundle is of kind 'promptable'; expected 'semantic'"),
        ({"score_threshold": 2.0}, "parameter score_threshold is 2.0; expected 0.0 to 1.0"),
        ({"classes": "['moon']"}, "parameter classes has 'moon'"),
    ],
)
def test_what_cannot_be_started_with_is_named(robots, colour_classes, known_bundle, changes, reason):
    model = known_bundle if changes.get("model") == "KNOWN" else colour_classes
    given = {name: value for name, value in changes.items() if name != "model"}
    made = robots(model, node="/semantic", module="semantic", backend="onnxruntime", **given)
    assert made.process.process.wait(timeout=900) == 2
    assert reason in made.process.output
