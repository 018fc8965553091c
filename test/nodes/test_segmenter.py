# SPDX-License-Identifier: Apache-2.0
"""The contract of the segmenter over real DDS, with a bundle whose answers are known."""

import numpy as np
import pytest
from geometry_msgs.msg import Point, PointStamped
from sensor_msgs.msg import Image
from std_srvs.srv import SetBool, Trigger

from .harness import Peer, pixels, set_parameter
from .prompting import detection, prompt, vision_msgs

pytestmark = pytest.mark.usefixtures("clean")


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


def test_a_box_is_answered_by_its_mask_with_the_images_header(robot):
    prompt(robot, detection(60, 40, 50, 30, name="cup"))
    mask = robot.answer(Image, "mask")
    assert (mask.width, mask.height, mask.encoding, mask.header.frame_id) == (128, 96, "mono8", "camera_7")
    truth = np.zeros((96, 128), bool)
    truth[25:55, 35:85] = True
    inside = pixels(mask)
    assert set(np.unique(inside)) == {0, 255}
    assert iou(inside == 255, truth) > 0.95


def test_all_outputs_agree_and_carry_one_header(robot):
    prompt(robot, detection(30, 30, 40, 40, identity="a", name="cup"), detection(100, 60, identity="b"))
    topics = {
        "label_map": Image,
        "overlay": Image,
        "detections": vision_msgs.Detection2DArray,
    }
    for topic, kind in topics.items():
        robot.peer.listen(kind, robot.topic(topic))
    robot.peer.until(lambda: False, 0.5)
    stamp = robot.answer(Image, "overlay").header.stamp.sec

    def answers() -> dict:
        everything = {topic: robot.peer.heard[robot.topic(topic)] for topic in topics}
        return {t: m for t, heard in everything.items() for m in heard if m.header.stamp.sec == stamp}

    assert robot.peer.until(lambda: set(answers()) == set(topics)), set(answers())
    heard = answers()
    assert {message.header.frame_id for message in heard.values()} == {"camera_7"}
    labels = pixels(heard["label_map"], np.uint16)
    assert heard["label_map"].encoding == "mono16" and set(np.unique(labels)) == {0, 1, 2}
    found = heard["detections"].detections
    assert [item.id for item in found] == ["1", "2"]
    assert [item.results[0].hypothesis.class_id for item in found] == ["cup", "object"]
    assert found[0].results[0].hypothesis.score == pytest.approx(0.9)
    assert found[0].bbox.size_x == pytest.approx(40, abs=2.5)
    for item in found:
        xs = np.nonzero(labels == int(item.id))[1]
        assert abs((xs.min() + xs.max() + 1) / 2 - item.bbox.center.position.x) < 2
    assert heard["overlay"].encoding == "rgb8"
    assert (pixels(heard["overlay"])[labels == 0] == 90).all()
    assert (pixels(heard["overlay"])[labels == 1] != 90).any(1).all()


def test_late_joiner_gets_the_latched_names_of_the_labels(robot):
    from rclpy.qos import QoSDurabilityPolicy, QoSProfile

    prompt(robot, detection(30, 30, 40, 40, identity="a", name="cup"), detection(100, 60, identity="b"))
    robot.answer(Image, "mask")
    late, heard = Peer(robot.domain), []
    qos = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
    late.node.create_subscription(vision_msgs.LabelInfo, robot.topic("label_info"), heard.append, qos)
    assert late.until(lambda: len(heard) > 0)
    late.close()
    names = {entry.class_id: entry.class_name for entry in heard[-1].class_map}
    assert names == {0: "background", 1: "cup", 2: "object"}
    assert heard[-1].header.frame_id == "camera_7"


def test_clicks_add_objects_and_clear_removes_them(robot):
    robot.peer.publish(robot.topic("pixel"), Point(x=30.0, y=30.0))
    stamped = PointStamped()
    stamped.point.x, stamped.point.y = 100.0, 70.0
    robot.peer.publish(robot.topic("point"), stamped)
    robot.peer.until(lambda: False, 0.5)
    labels = pixels(robot.answer(Image, "label_map"), np.uint16)
    ys, xs = np.mgrid[:96, :128] + 0.5
    for x, y in ((30, 30), (100, 70)):  # a disc of 8 cells, a cell is 2 pixels
        identity = labels[y, x]
        assert identity and iou(labels == identity, np.hypot(xs - x, ys - y) < 16) > 0.9
    reply = robot.peer.call(Trigger, robot.topic("clear_prompts"), Trigger.Request())
    assert reply.success and reply.message == "2 prompts cleared"
    assert not pixels(robot.answer(Image, "label_map"), np.uint16).any()


def test_points_of_one_id_are_one_object_and_background_cuts(robot):
    prompt(
        robot,
        detection(40, 40, identity="x"),
        detection(52, 40, identity="x"),
        detection(30, 40, identity="x", name="background"),
    )
    labels = pixels(robot.answer(Image, "label_map"), np.uint16)
    assert set(np.unique(labels)) == {0, 1}
    assert labels[40, 44] == 1 and labels[40, 60] == 1 and labels[40, 30] == 0


def test_an_id_that_looks_like_a_number_is_a_separate_object(robot):
    prompt(robot, detection(30, 30, 20, 20, identity="#1"), detection(100, 60, 20, 20))
    labels = pixels(robot.answer(Image, "label_map"), np.uint16)
    assert labels[30, 30] and labels[60, 100] and labels[30, 30] != labels[60, 100]


def test_detections_replace_earlier_ones_and_an_empty_array_removes_them(robot):
    prompt(robot, detection(30, 30, 20, 20))
    prompt(robot, detection(100, 60, 20, 20))
    mask = pixels(robot.answer(Image, "mask"))
    assert mask[60, 100] == 255 and mask[30, 30] == 0
    prompt(robot)
    assert not pixels(robot.answer(Image, "mask")).any()


def test_mode_changes_while_the_node_runs(robot):
    assert set_parameter(robot, "mode", "everything").successful
    labels = pixels(robot.answer(Image, "label_map"), np.uint16)
    # Proposals at a quarter and at three quarters of the padded square, in pixels (33, 33) and (97, 97);
    # the second is in the padding.
    assert labels[33, 33] == 1 and set(np.unique(labels)) == {0, 1}


def test_out_of_range_parameters_are_refused_with_the_reason(robot):
    result = set_parameter(robot, "mode", "magic")
    assert not result.successful and "'magic'; expected one of prompt, everything" in result.reason
    result = set_parameter(robot, "max_prompts", 0)
    assert not result.successful and "max_prompts" in result.reason


def test_a_disabled_node_is_silent_until_enabled(robot):
    prompt(robot, detection(30, 30, 20, 20))
    robot.answer(Image, "mask")
    robot.peer.call(SetBool, robot.topic("enable"), SetBool.Request(data=False))
    robot.peer.until(lambda: False, 0.5)
    heard = robot.peer.heard[robot.topic("mask")]
    count = len(heard)
    for _ in range(3):
        robot.send_image()
    robot.peer.until(lambda: False, 1.0)
    assert len(heard) == count
    robot.peer.call(SetBool, robot.topic("enable"), SetBool.Request(data=True))
    robot.answer(Image, "mask")


def test_late_joiner_gets_the_next_answer(robot):
    prompt(robot, detection(30, 30, 20, 20))
    late = Peer(robot.domain)
    heard = late.listen(Image, robot.topic("mask"))
    for _ in range(40):
        robot.send_image()
        if late.until(lambda: len(heard) > 0, 0.3):
            break
    late.close()
    assert heard and pixels(heard[0])[30, 30] == 255


def test_burst_is_answered_in_order_up_to_the_newest_frame(robot):
    prompt(robot, detection(30, 30, 20, 20))
    robot.answer(Image, "mask")
    heard = robot.peer.heard[robot.topic("mask")]
    before = len(heard)
    for _ in range(150):
        robot.send_image()
    robot.answer(Image, "mask")
    assert len(heard) > before + 1
    stamps = [message.header.stamp.sec for message in heard]
    assert stamps == sorted(stamps), "answers out of order"


def test_remapping_and_namespace(robots):
    extra = ("-r", "__ns:=/left", "-r", "image:=/sensors/rgb")
    robot = robots(extra=extra, node="/left/segmenter")
    robot.wait_state("active")
    prompt(robot, detection(60, 40, 50, 30))
    assert pixels(robot.answer(Image, "mask", topic="/sensors/rgb"))[40, 60] == 255
