# SPDX-License-Identifier: Apache-2.0
"""Malformed messages over real DDS: no crash, every one is counted by kind, the next good one is answered."""

import os
import time
from collections import Counter

import numpy as np
import pytest
from geometry_msgs.msg import Point, PointStamped
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import UInt32
from std_srvs.srv import Trigger
from vision_msgs.msg import Detection2DArray

from evitsam_ros.nodes.recent_images import stamp_ns

from ..nodes import malformed
from ..nodes.harness import pixels
from ..nodes.prompting import detection, prompt
from ..nodes.usage import Usage, table
from .frames import WHOLE

ROUNDS = 240 if WHOLE else 24
#: Messages of a topic at once; more would be lost in its queue.
AT_ONCE = 10
ARRIVED = ("prompts_in", "bad_prompts", "objects_removed")
DONE = ("frames_out", "bad_images", "frames_dropped", "frames_without_listener", "frames_not_asked_about")


class Storm:
    """Sends to a robot, and keeps the books."""

    def __init__(self, robot, rng: np.random.Generator, compressed: bool) -> None:
        self.robot, self.rng, self.compressed = robot, rng, compressed
        self.sent: Counter[str] = Counter()
        kinds = {"prompts": Detection2DArray, "point": PointStamped, "pixel": Point, "remove_object": UInt32}
        for topic, kind in kinds.items():
            name = robot.topic(topic)
            robot.peer.publishers[name] = robot.peer.node.create_publisher(kind, name, AT_ONCE)
        found = [robot.peer.publishers[robot.topic(topic)] for topic in kinds]
        assert robot.peer.until(lambda: all(made.get_subscription_count() for made in found))
        robot.peer.until(lambda: False, 1.0)  # the other side has to find them too

    def total(self, kinds: tuple[str, ...]) -> int:
        return sum(self.robot.count(kind) for kind in kinds)

    def prompts(self) -> None:
        """While no frame comes, every prompt is taken, or refused on its arrival."""
        before = self.total(ARRIVED)
        for _ in range(AT_ONCE):
            for topic, message in (
                ("prompts", malformed.detections(self.rng)),
                ("point", malformed.point_stamped(self.rng)),
                ("pixel", malformed.pixel(self.rng)),
                ("remove_object", malformed.removal(self.rng)),
            ):
                if hasattr(message, "header") and stamp_ns(message.header):
                    message.header.stamp.nanosec = 12_345  # no picture's: it would be answered once more
                self.robot.peer.publish(self.robot.topic(topic), message)
                self.sent[topic] += 1
        expected = before + 4 * AT_ONCE
        assert self.robot.peer.until(lambda: self.total(ARRIVED) >= expected, 200), (
            expected,
            self.robot.diagnostics,
        )
        assert self.total(ARRIVED) == expected

    def frame(self) -> None:
        """One damaged or sound image, with depth and calibration: answered, or refused by name."""
        before = self.total(("frames_in",)), self.total(DONE)
        make = malformed.compressed if self.compressed else malformed.image
        self.robot.peer.publish("/camera_info", malformed.camera_info(self.rng)[0])
        self.robot.peer.publish("/depth", malformed.depth(self.rng)[0])
        topic = "/image/compressed" if self.compressed else "/image"
        self.robot.peer.publish(topic, make(self.rng)[0])
        self.sent.update(camera_info=1, depth=1, image=1)
        expected = before[0] + 1, before[1] + 1
        books = lambda: (self.total(("frames_in",)), self.total(DONE))  # noqa: E731
        assert self.robot.peer.until(lambda: books() == expected, 200), (
            f"{books()} is not {expected}: {self.robot.diagnostics}"
        )


@pytest.mark.parametrize(
    "transport", ["raw", pytest.param("compressed", marks=pytest.mark.skipif(not WHOLE, reason="make soak"))]
)
def test_every_message_is_counted_and_the_next_good_one_answered(robots, transport):
    robot = robots(
        enable_depth=True, reliability="reliable", image_transport=transport, diagnostics_period_s=0.1
    )
    robot.wait_state("active")
    storm = Storm(robot, np.random.default_rng(7), transport == "compressed")
    points = robot.peer.listen(PointCloud2, robot.topic("points"))
    robot.peer.publish("/camera_info", CameraInfo())
    good(robot, transport)
    usages, start = [Usage.of(robot.process.process.pid)], time.monotonic()
    for turn in range(ROUNDS):
        storm.prompts()
        storm.frame()
        if turn % 8 == 7:  # 256 clicks are kept; more are refused, on top of their arrival
            robot.peer.call(Trigger, robot.topic("clear_prompts"), Trigger.Request())
        if turn % (ROUNDS // 4) == ROUNDS // 4 - 1:
            usages.append(Usage.of(robot.process.process.pid))
    seconds, counted = time.monotonic() - start, robot.diagnostics
    assert robot.process.process.poll() is None
    assert robot.count("callback_errors") == robot.count("inference_errors") == 0, counted
    assert len(counted["last_error"]) < 600
    robot.peer.call(Trigger, robot.topic("clear_prompts"), Trigger.Request())
    good(robot, transport)
    kinds = (*ARRIVED, "frames_in", *DONE, "unknown_stamps", "bad_depth", "no_depth")
    table(
        f"malformed messages over DDS, {transport} images",
        sent=f"{storm.sent.total()} in {seconds:.0f} s: {dict(storm.sent)}",
        counted={kind: robot.count(kind) for kind in kinds},
        point_clouds=len(points),
        before=usages[0],
        at_every_quarter="; ".join(map(str, usages[1:])),
    )
    # The first quarter warms up. OpenCV's threads begin with the first image that is large enough.
    assert not usages[-1].holds_more_than(usages[:2], pool=os.cpu_count() or 1), [
        str(usage) for usage in usages
    ]


def good(robot, transport: str) -> None:
    """A good image is answered with what it was asked."""
    robot.peer.listen(Image, robot.topic("mask")).clear()  # they have stamps of all times
    prompt(robot, detection(60, 40, 50, 30))
    if transport == "raw":
        assert pixels(robot.answer(Image, "mask"))[40, 60] == 255
        return
    import cv2

    heard = robot.peer.listen(Image, robot.topic("mask"))
    jpeg = cv2.imencode(".jpg", np.full((96, 128, 3), 90, np.uint8))[1].tobytes()
    message = CompressedImage(format="jpeg", data=jpeg)
    message.header.frame_id = "good"
    for _ in range(20):
        robot.peer.publish("/image/compressed", message)
        if robot.peer.until(lambda: any(m.header.frame_id == "good" for m in heard[-1:]), 1.0):
            break
    robot.peer.until(lambda: False, 0.5)
    assert pixels(heard[-1])[40, 60] == 255
