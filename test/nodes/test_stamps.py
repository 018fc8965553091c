# SPDX-License-Identifier: Apache-2.0
"""Prompts with a stamp are answered on the image that has it: detectors are late."""

import gc
import weakref

import numpy as np
import pytest
from geometry_msgs.msg import PointStamped
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from evitsam_ros.nodes.recent_images import RecentImages, stamp_ns

from .harness import pixels, set_parameter
from .offline_pipeline import OfflinePipeline
from .prompting import detection, vision_msgs


@pytest.fixture(scope="module")
def robot(robots):
    made = robots(enable_tracking=False, history_frames=6, history_s=10.0)
    made.wait_state("active")
    made.masks = made.peer.listen(Image, made.topic("mask"))
    seen(made)
    return made


def ask(robot, stamp: int, *detections) -> None:
    message = vision_msgs.Detection2DArray(detections=list(detections))
    message.header.stamp.sec = stamp
    robot.peer.publish(robot.topic("prompts"), message)


def seen(robot) -> int:
    """The stamp of an image that has come to the node; on a busy machine one may be lost."""
    before = robot.count("frames_in")
    for _ in range(20):
        stamp = robot.send_image().header.stamp.sec
        if robot.peer.until(lambda: robot.count("frames_in") > before, 1.0):
            return stamp
    raise AssertionError(f"no image came: {robot.diagnostics}")


def answered(robot, stamp: int, seconds: float = 15.0) -> Image | None:
    """The last mask with this stamp, as soon as there is one that holds something."""

    def found() -> list:
        return [mask for mask in robot.masks if mask.header.stamp.sec == stamp]

    robot.peer.until(lambda: any(pixels(mask).any() for mask in found()), seconds)
    return next(reversed(found()), None)


def test_a_late_detection_is_answered_on_its_own_image(robot):
    sent = [seen(robot) for _ in range(4)]
    ask(robot, sent[1], detection(60, 40, 50, 30))
    mask = answered(robot, sent[1])
    assert mask is not None and pixels(mask)[40, 60] == 255
    assert not [m for m in robot.masks if m.header.stamp.sec in (sent[2], sent[3]) and pixels(m).any()]


def test_an_empty_array_clears_the_objects_of_that_image(robot):
    stamp = seen(robot)
    ask(robot, stamp)
    mask = answered(robot, stamp, 3.0)
    assert mask is not None and not pixels(mask).any()


def test_a_detection_before_its_image_waits_for_it(robot):
    ask(robot, robot.stamp + 1, detection(60, 40, 50, 30))
    robot.peer.until(lambda: False, 0.5)
    stamp = robot.send_image().header.stamp.sec
    mask = answered(robot, stamp)
    assert mask is not None and pixels(mask)[40, 60] == 255


def test_an_unknown_stamp_is_reported_or_uses_the_nearest_image(robot):
    sent = [seen(robot) for _ in range(8)]
    before = robot.count("unknown_stamps")
    ask(robot, robot.stamp - 60, detection(60, 40, 50, 30))
    assert robot.peer.until(lambda: robot.count("unknown_stamps") == before + 1)
    assert "~/prompts: no image has the stamp" in robot.diagnostics["last_error"]
    assert "6 images of" in robot.diagnostics["last_error"]
    assert set_parameter(robot, "missing_image_policy", "nearest").successful
    ask(robot, robot.stamp - 60, detection(60, 40, 50, 30))
    mask = answered(robot, sent[2])
    assert mask is not None and pixels(mask)[40, 60] == 255
    assert set_parameter(robot, "missing_image_policy", "reject").successful


def test_a_missing_frame_is_reported(robot):
    before = robot.count("unknown_stamps")
    ask(robot, robot.stamp + 500, detection(60, 40, 50, 30))
    assert robot.peer.until(lambda: robot.count("unknown_stamps") == before + 1, 200)


def test_of_a_fast_detectors_arrays_the_newest_counts(robot):
    sent = []
    for _ in range(30):
        sent.append(robot.send_image().header.stamp.sec)
        ask(robot, sent[-1], detection(60, 40, 50, 30))
        robot.peer.until(lambda: False, 0.002)
    assert answered(robot, sent[-1]) is not None


def test_a_click_with_a_stamp_and_a_click_in_another_frame(robot):
    stamp = seen(robot)
    click = PointStamped()
    click.header.stamp.sec, click.header.frame_id = stamp, "camera_7"
    click.point.x, click.point.y = 60.0, 40.0
    robot.peer.publish(robot.topic("point"), click)
    mask = answered(robot, stamp)
    assert mask is not None and pixels(mask)[40, 60] == 255
    before = robot.count("bad_prompts")
    click.header.frame_id = "map"
    robot.peer.publish(robot.topic("point"), click)
    assert robot.peer.until(lambda: robot.count("bad_prompts") == before + 1)
    assert "expected pixels in the camera's frame 'camera_7'" in robot.diagnostics["last_error"]


def test_a_click_with_an_unknown_stamp_applies_to_the_newest_image(robot):
    """Tools stamp a click with the time of the click."""
    robot.peer.call(Trigger, robot.topic("clear_prompts"), Trigger.Request())
    before = robot.count("unknown_stamps")
    for stamp in (robot.stamp - 70, robot.stamp + 700):
        click = PointStamped()
        click.header.stamp.sec, click.header.frame_id = stamp, "camera_7"
        click.point.x, click.point.y = 60.0, 40.0
        robot.peer.publish(robot.topic("point"), click)
    robot.peer.until(lambda: False, 0.5)
    mask = answered(robot, seen(robot))
    assert mask is not None and pixels(mask)[40, 60] == 255
    assert robot.count("unknown_stamps") == before


def test_memory_is_bounded_by_number_and_by_age():
    recent = RecentImages(max_images=4, seconds=60.0)
    for second in range(100):
        recent.add(image(second))
    assert str(recent).startswith("4 images of 96.000 to 99.000 s")
    assert stamp_ns(recent.nearest(0).header) == 96 * 10**9
    assert recent.find(95 * 10**9) is None and recent.seconds_ahead(100 * 10**9) == 1.0
    recent.add(image(5))  # a bag that starts again
    assert recent.newest().header.stamp.sec == 5 and recent.seconds_ahead(5 * 10**9) == 0.0
    gone = RecentImages(max_images=4, seconds=0.0)
    gone.add(image(1))
    assert gone.newest() is None and str(gone) == "no image is buffered"


def test_memory_is_bounded_by_bytes_and_the_newest_image_is_kept():
    recent = RecentImages(max_images=16, seconds=60.0, max_bytes=1000)
    for second in range(10):
        recent.add(image(second, 300))
    assert str(recent).startswith("3 images of 7.000 to 9.000 s")
    recent.add(image(10, 5000))
    assert str(recent).startswith("1 images of 10.000 to 10.000 s")
    recent.add(image(11, 300))
    assert str(recent).startswith("1 images of 11.000")
    recent.clear()
    recent.add(image(12, 999))
    assert recent.newest().header.stamp.sec == 12


def test_old_images_are_let_go_when_the_camera_stops(known_bundle):
    wired = OfflinePipeline(known_bundle, history_s=0.0)
    message = image(1, 300)
    kept = weakref.ref(message.data)
    wired.give("image", message)
    wired.work()
    del message
    wired.pipeline.tick()
    gc.collect()
    assert kept() is None


def image(second: int, size: int = 1) -> Image:
    message = Image(data=np.zeros(size, np.uint8).tobytes())
    message.header.stamp.sec = second
    return message
