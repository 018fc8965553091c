# SPDX-License-Identifier: Apache-2.0
"""Whatever arrives: one clear error, a count in the diagnostics, and the next good frame is answered."""

import shutil

import numpy as np
import pytest
from geometry_msgs.msg import Point
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger

from .harness import Process, pixels
from .prompting import detection, prompt, vision_msgs

NAN = float("nan")
BAD_IMAGES = {
    "step too small": ({"step": 100}, "image: step is 100; expected at least 384"),
    "less data than the size says": ({"height": 9999}, "image: data has 36864 bytes; expected"),
    "unknown encoding": ({"encoding": "hsv8"}, "image: encoding is 'hsv8'; expected one of rgb8"),
    "no width": ({"width": 0}, "image: image is 0x96; expected 1 to"),
    "no height": ({"height": 0}, "image: image is 128x0"),
}


@pytest.fixture
def listened(robot):
    """A robot with a prompt and a listener, so that frames are worked on."""
    robot.peer.call(Trigger, robot.topic("clear_prompts"), Trigger.Request())
    prompt(robot, detection(60, 40, 50, 30))
    robot.answer(Image, "mask")
    return robot


def still_works(robot) -> bool:
    return pixels(robot.answer(Image, "mask"))[40, 60] == 255


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_bad_image_is_named_counted_and_survived(listened, name):
    changes, text = BAD_IMAGES[name]
    before = listened.count("bad_images")
    for _ in range(30):  # images are best effort: one may be lost
        listened.send_image(**changes)
        if listened.peer.until(lambda: listened.count("bad_images") > before, 5):
            break
    assert listened.count("bad_images") > before, listened.diagnostics
    assert text in listened.diagnostics["last_error"]
    assert still_works(listened)


def test_errors_are_throttled_in_the_log_and_counted_in_the_diagnostics(listened):
    before, logged = listened.count("bad_images"), listened.process.output.count("expected one of rgb8")
    for _ in range(12):
        listened.send_image(encoding="hsv8")
        listened.peer.until(lambda: False, 0.05)
    assert listened.peer.until(lambda: listened.count("bad_images") >= before + 8)
    assert listened.process.output.count("expected one of rgb8") - logged <= 2
    assert still_works(listened)


def turned(theta: float):
    made = detection(60, 40, 9, 9)
    made.bbox.center.theta = theta
    return made


BAD_PROMPTS = {
    "NaN": (lambda: [detection(NAN, 40, 10, 10)], "detection 0: box is nan"),
    "turned by infinity": (
        lambda: [turned(float("inf"))],
        "detection 0: box is 60.0, 40.0, 9.0, 9.0 turned by inf",
    ),
    "flat box": (lambda: [detection(30, 40, 10, 0)], "detection 0: box size is 10.0 x 0.0; expected both 0"),
    "negative size": (
        lambda: [detection(1, 1, 5, 5), detection(30, 40, -10, 5)],
        "detection 1: box size is -10.0",
    ),
    "two boxes of one id": (
        lambda: [detection(30, 40, 10, 5, "a"), detection(60, 40, 10, 5, "a")],
        "detection 1: a second box for the object with id 'a'",
    ),
    "a thousand at once": (
        lambda: [detection(30, 40, 10, 5)] * 1000,
        "1000 objects at once; expected at most 256",
    ),
}


@pytest.mark.parametrize("name", BAD_PROMPTS)
def test_bad_prompts_are_refused_and_the_old_ones_kept(listened, name):
    make, text = BAD_PROMPTS[name]
    before = listened.count("bad_prompts")
    listened.peer.publish(listened.topic("prompts"), vision_msgs.Detection2DArray(detections=make()))
    assert listened.peer.until(lambda: listened.count("bad_prompts") == before + 1)
    assert text in listened.diagnostics["last_error"] and "~/prompts" in listened.diagnostics["last_error"]
    assert still_works(listened)


def test_bad_clicks(listened):
    before = listened.count("bad_prompts")
    listened.peer.publish(listened.topic("pixel"), Point(x=NAN, y=3.0))
    assert listened.peer.until(lambda: listened.count("bad_prompts") == before + 1)
    assert "~/pixel: point is (nan, 3.0)" in listened.diagnostics["last_error"]
    listened.peer.publish(listened.topic("pixel"), Point(x=5000.0, y=3.0))
    listened.peer.until(lambda: False, 0.3)
    assert still_works(listened)
    assert listened.peer.until(lambda: listened.count("bad_prompts") == before + 2)
    assert "point (5000, 3) is outside the image of 128x96" in listened.diagnostics["last_error"]


def test_damaged_jpeg(robots):
    robot = robots(image_transport="compressed")
    robot.wait_state("active")
    prompt(robot, detection(60, 40, 50, 30))
    heard = robot.peer.listen(Image, robot.topic("mask"))
    import cv2

    good = bytes(cv2.imencode(".jpg", np.full((96, 128, 3), 90, np.uint8))[1])
    # Answered once, both sides have found each other: a frame that nobody listens for is not looked at.
    for _ in range(20):
        robot.peer.publish("/image/compressed", CompressedImage(format="jpeg", data=good))
        if robot.peer.until(lambda: len(heard) > 0, 1.0):
            break
    robot.peer.until(lambda: False, 0.5)
    heard.clear()
    for data in (b"", b"no picture at all", good[: len(good) // 20]):
        before = robot.count("bad_images")
        robot.peer.publish("/image/compressed", CompressedImage(format="jpeg", data=data))
        assert robot.peer.until(lambda before=before: robot.count("bad_images") == before + 1), (
            robot.diagnostics
        )
        assert f"image/compressed: compressed image of {len(data)} bytes" in robot.diagnostics["last_error"]
    message = CompressedImage(format="jpeg", data=good)
    message.header.frame_id = "jpeg_camera"
    robot.peer.publish("/image/compressed", message)
    assert robot.peer.until(lambda: len(heard) > 0)
    assert heard[0].header.frame_id == "jpeg_camera" and pixels(heard[0])[40, 60] == 255


@pytest.mark.parametrize("damage", ["missing", "truncated", "swapped"])
def test_bad_bundle_is_named_and_the_node_waits_unconfigured(robots, known_bundle, tmp_path, damage):
    folder = tmp_path / "known"
    shutil.copytree(known_bundle, folder)
    if damage == "missing":
        (folder / "decoder.onnx").unlink()
    elif damage == "truncated":
        (folder / "decoder.onnx").write_bytes((folder / "decoder.onnx").read_bytes()[:-50])
    else:
        shutil.copy(folder / "encoder.onnx", folder / "decoder.onnx")
    robot = robots(bundle=folder)
    assert robot.peer.until(lambda: robot.count("configure") == 1, 300), robot.process.output
    assert "decoder.onnx" in robot.diagnostics["last_error"]
    assert robot.diagnostics["state"] == "inactive"
    assert robot.process.process.poll() is None, "the node has to stay, for the bundle can be mended"


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"mode": "magic"}, "parameter mode is 'magic'; expected one of prompt, everything"),
        ({"max_prompts": 0}, "max_prompts"),
    ],
)
def test_wrong_start_parameter_ends_the_node_with_a_clear_line(tmp_path, parameters, text):
    process = Process("segmenter", 99, tmp_path / "log", parameters)
    assert process.process.wait(timeout=300) == 2
    assert text in process.output and "Traceback" not in process.output
