# SPDX-License-Identifier: Apache-2.0
"""The semantic node over real DDS: the outputs of a network that sees colours."""

import cv2
import numpy as np
import pytest
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header
from std_srvs.srv import SetBool

from evitsam_ros.geometry3d import FIELDS
from evitsam_ros.nodes.messages import image_message

from .colour_classes import COLOURS, write_colour_classes
from .harness import pixels, set_parameter

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


def test_label_map_has_the_classes_and_the_header_of_the_image(robot, view):
    answer = robot.answer(Image, "label_map", 60.0, image=view)
    assert answer.encoding == "mono8" and answer.header.frame_id == "camera_7"
    labels = pixels(answer)
    assert labels.shape == (128, 192)
    away = np.ones(192, bool)
    away[[*range(56, 72), *range(120, 136)]] = False  # bicubic upsampling moves a border by a part of a cell
    np.testing.assert_array_equal(labels[:, away], expected_labels()[:, away])


def test_names_are_latched_for_later_subscribers(robot):
    heard = []
    qos = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
    robot.peer.node.create_subscription(vision_msgs.LabelInfo, "/semantic/label_info", heard.append, qos)
    assert robot.peer.until(lambda: heard, 600)
    found = {entry.class_id: entry.class_name for entry in heard[0].class_map}
    assert found == {0: "void", 1: "stop", 2: "grass", 3: "water"}


def test_overlay_has_the_palette_and_confidence_the_softmax(robot, view):
    assert set_parameter(robot, "overlay_alpha", 1.0).successful
    overlay = pixels(robot.answer(Image, "overlay", 60.0, image=view))
    for name, column in zip(COLOURS, (20, 96, 170), strict=True):
        assert tuple(overlay[64, column]) == COLOURS[name]
    answer = robot.answer(Image, "confidence", 60.0, image=view)
    confidence = pixels(answer, np.float32)
    logits = np.array([220, 20, 20]) / 255 * 10
    expected = np.exp(logits[0]) / np.exp(logits).sum()
    assert answer.encoding == "32FC1" and confidence[64, 20] == pytest.approx(expected, rel=1e-3)
    assert set_parameter(robot, "confidence_class", "water").successful
    of_water = pixels(robot.answer(Image, "confidence", 60.0, image=view), np.float32)
    expected = np.exp(logits[1]) / np.exp(logits).sum()
    assert of_water[64, 20] == pytest.approx(expected, rel=1e-3) and of_water[64, 170] > 0.9
    assert set_parameter(robot, "confidence_class", "").successful


def test_classes_threshold_and_resolution_can_be_set_while_it_runs(robot, view):
    assert set_parameter(robot, "classes", ["grass"]).successful
    labels = pixels(robot.answer(Image, "label_map", 60.0, image=view))
    assert set(np.unique(labels)) == {0, 2}
    assert set_parameter(robot, "classes", [""]).successful
    assert set_parameter(robot, "resolution", "network").successful
    labels = pixels(robot.answer(Image, "label_map", 60.0, image=view))
    np.testing.assert_array_equal(labels, np.repeat([1, 2, 3], 4)[None].repeat(8, axis=0))
    assert set_parameter(robot, "resolution", "image").successful
    grey = np.full((128, 192, 3), 90, np.uint8)  # a third for each class
    assert set_parameter(robot, "score_threshold", 0.5).successful
    assert not pixels(robot.answer(Image, "label_map", 60.0, image=grey)).any()
    assert set_parameter(robot, "score_threshold", 0.0).successful


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("score_threshold", 1.5, "score_threshold is 1.5; expected 0.0 to 1.0"),
        ("overlay_alpha", float("nan"), "overlay_alpha is nan"),
        ("resolution", "half", "resolution is 'half'; expected image, network"),
        ("confidence_class", "moon", "parameter confidence_class has 'moon'; expected some of stop"),
        ("classes", ["moon"], "parameter classes has 'moon'; expected some of stop, grass, water"),
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
    stages = [f"latency_{name}_ms" for name in ("convert", "preprocess", "network", "label_map", "publish")]
    assert robot.peer.until(lambda: all(float(robot.diagnostics.get(n, 0)) > 0 for n in stages), 60)
    # What the profiler node looks for.
    assert robot.status[-1].status[0].name == "/semantic: segmentation"


def test_a_disabled_semantic_node_is_silent(robot, view):
    assert robot.peer.call(SetBool, "/semantic/enable", SetBool.Request(data=False)).success
    heard = robot.peer.listen(Image, "/semantic/label_map")
    robot.wait_state("disabled")
    before = len(heard)
    robot.send_image(image=view)
    robot.peer.until(lambda: False, 2.0)
    assert len(heard) == before
    assert robot.peer.call(SetBool, "/semantic/enable", SetBool.Request(data=True)).success
    robot.answer(Image, "label_map", 60.0, image=view)


def decoded(message: CompressedImage) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(bytes(message.data), np.uint8), cv2.IMREAD_UNCHANGED)


def test_label_map_and_overlay_are_published_compressed(robot, view):
    raw = robot.peer.listen(Image, "/semantic/label_map")
    answer = robot.answer(CompressedImage, "label_map/compressed", image=view)
    assert answer.format == "mono8; png compressed "
    stamp = answer.header.stamp.sec
    assert robot.peer.until(lambda: any(each.header.stamp.sec == stamp for each in raw), 60)
    same = next(each for each in raw if each.header.stamp.sec == stamp)
    np.testing.assert_array_equal(decoded(answer), pixels(same))
    assert set_parameter(robot, "overlay_alpha", 1.0).successful
    answer = robot.answer(CompressedImage, "overlay/compressed", image=view)
    assert answer.format == "rgb8; jpeg compressed bgr8"
    overlay = decoded(answer)[..., ::-1].astype(int)
    for name, column in zip(COLOURS, (20, 96, 170), strict=True):
        assert np.abs(overlay[64, column] - COLOURS[name]).max() < 12
    assert set_parameter(robot, "overlay_alpha", 0.5).successful


def test_large_images_are_segmented_in_tiles(robot, view):
    """The image has twice the pixels of the network's input, each way."""
    assert set_parameter(robot, "resolution", "network").successful
    assert set_parameter(robot, "tiles", True).successful
    labels = pixels(robot.answer(Image, "label_map", image=view))
    np.testing.assert_array_equal(labels, np.repeat([1, 2, 3], 8)[None].repeat(16, axis=0))
    assert set_parameter(robot, "tiles", False).successful
    assert set_parameter(robot, "resolution", "image").successful


def test_nothing_stays_that_is_no_longer_true(robot, view):
    """Void label maps after the camera is lost, with other classes, and while the node is disabled."""
    maps = robot.peer.listen(Image, "/semantic/label_map")
    packed = robot.peer.listen(CompressedImage, "/semantic/label_map/compressed")

    def answered() -> None:
        robot.answer(Image, "label_map", image=view)
        assert robot.peer.until(lambda: maps and pixels(maps[-1]).any(), 60)

    def is_void() -> bool:
        return not pixels(maps[-1]).any() and bool(packed) and not decoded(packed[-1]).any()

    answered()
    assert robot.peer.until(is_void, 150), "the camera is lost"
    assert maps[-1].header.stamp.sec == robot.stamp and pixels(maps[-1]).shape == (128, 192)
    assert set_parameter(robot, "output_timeout_s", 0.0).successful
    answered()
    assert set_parameter(robot, "classes", ["grass"]).successful
    assert robot.peer.until(is_void, 150), "other classes"
    assert set_parameter(robot, "classes", [""]).successful
    answered()
    assert robot.peer.call(SetBool, "/semantic/enable", SetBool.Request(data=False)).success
    assert robot.peer.until(is_void, 150), "disabled"
    assert robot.peer.call(SetBool, "/semantic/enable", SetBool.Request(data=True)).success
    answered()
    assert set_parameter(robot, "output_timeout_s", 2.0).successful


def test_the_backends_are_measured_beside_the_node(robots, colour_classes, view):
    made = robots(colour_classes, node="/semantic", module="semantic", precision="auto")
    made.wait_state("active")
    made.answer(Image, "label_map", image=view)
    for _ in range(600):
        made.send_image(image=view)
        if made.peer.until(lambda: "measured: network: " in made.process.output, 0.3):
            break
    assert "measured: network: " in made.process.output
    assert set(np.unique(pixels(made.answer(Image, "label_map", image=view)))) == {1, 2, 3}


def test_points_have_labels_where_there_is_depth(robots, colour_classes, view):
    """A wall at two metres, whose right half has no depth; an image without depth has no points."""
    made = robots(
        colour_classes,
        node="/semantic",
        module="semantic",
        backend="onnxruntime",
        threads=1,
        enable_depth=True,
    )
    made.wait_state("active")
    clouds = made.peer.listen(PointCloud2, "/semantic/points")
    k = [100.0, 0.0, 96.0, 0.0, 100.0, 64.0, 0.0, 0.0, 1.0]
    info = CameraInfo(width=192, height=128, k=k, distortion_model="plumb_bob", d=[0.0] * 5)
    made.peer.keep_publishing("/camera_info", info)
    millimetres = np.full((128, 192), 2000, np.uint16)
    millimetres[:, 96:] = 0
    for _ in range(60):
        depth = image_message(Header(), millimetres, "16UC1")
        depth.header.stamp.sec = made.stamp + 1
        made.peer.publish("/depth", depth)
        made.peer.until(lambda: False, 0.1)
        made.send_image(image=view)
        if made.peer.until(lambda: any(cloud.width for cloud in clouds), 1.0):
            break
    (cloud,) = [each for each in clouds if each.width][:1]
    assert cloud.header.frame_id == "camera_7" and cloud.width == 128 * 96
    points = np.frombuffer(bytes(cloud.data), FIELDS)
    np.testing.assert_allclose(points["z"], 2.0)
    column = np.rint(points["x"] / points["z"] * 100 + 96 - 0.5).astype(int)
    assert (points["label"][column < 56] == 1).all() and (points["label"][column > 72] == 2).all()
    inside = points["score"][column < 40]
    logits = np.array([220, 20, 20]) / 255 * 10
    np.testing.assert_allclose(inside, np.exp(logits[0]) / np.exp(logits).sum(), rtol=1e-3)
    del clouds[:]
    made.answer(PointCloud2, "points", image=view)
    assert not clouds[-1].width and made.peer.until(lambda: made.count("no_depth") > 0, 60)


def test_a_network_that_fails_is_reported_and_opened_again(robots, tmp_path, view):
    bundle = write_colour_classes(tmp_path / "fragile", fails_on_black=True)
    made = robots(bundle, node="/semantic", module="semantic", backend="onnxruntime", threads=1)
    made.wait_state("active")
    made.answer(Image, "label_map", image=view)
    for _ in range(200):
        made.send_image(image=np.zeros((128, 192, 3), np.uint8))
        if made.peer.until(lambda: "switched:" in made.process.output, 0.3):
            break
    assert "switched:" in made.process.output
    assert made.peer.until(lambda: made.count("inference_errors") >= 3, 60)
    assert set(np.unique(pixels(made.answer(Image, "label_map", image=view)))) == {1, 2, 3}


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
        ({"precision": "int8"}, "precision int8: network would run in fp32"),
        ({"score_threshold": 2.0}, "parameter score_threshold is 2.0; expected 0.0 to 1.0"),
        ({"classes": "['moon']"}, "parameter classes has 'moon'"),
    ],
)
def test_invalid_start_values_are_named(robots, colour_classes, known_bundle, changes, reason):
    model = known_bundle if changes.get("model") == "KNOWN" else colour_classes
    given = {name: value for name, value in changes.items() if name != "model"}
    made = robots(model, node="/semantic", module="semantic", backend="onnxruntime", **given)
    assert made.process.process.wait(timeout=900) == 2
    assert reason in made.process.output
