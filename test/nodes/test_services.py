# SPDX-License-Identifier: Apache-2.0
"""Requests with a reply, over real DDS, with a bundle whose answers are known."""

import math

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from evitsam_ros.nodes.messages import image_message

from .event_session import shown
from .harness import pixels

interfaces = pytest.importorskip("evitsam_interfaces.msg", reason="evitsam_interfaces is not built")
services = pytest.importorskip("evitsam_interfaces.srv")
ObjectPrompt, Status = interfaces.ObjectPrompt, interfaces.Status
SIZE = (96, 128)


def box(*corners: float, **fields):
    return ObjectPrompt(box=[float(value) for value in corners], **fields)


def points(*coordinates: float, **fields):
    return ObjectPrompt(points=[float(value) for value in coordinates], **fields)


def segment(node, *prompts, **fields):
    request = services.Segment.Request(prompts=list(prompts), **fields)
    return node.robot.peer.call(services.Segment, node.robot.topic("segment"), request)


def ask(node, *prompts, **fields):
    """Send a request without waiting; return its future and its client."""
    peer = node.robot.peer
    client = peer.node.create_client(services.Segment, node.robot.topic("segment"))
    assert client.wait_for_service(timeout_sec=15)
    return client.call_async(services.Segment.Request(prompts=list(prompts), **fields)), client


def settled_count(node, name: str) -> int:
    """A counter in diagnostics that were published after now."""
    received = len(node.robot.status)
    node.until(lambda: len(node.robot.status) > received + 1)
    return node.robot.count(name)


def full(instance, size=SIZE) -> np.ndarray:
    """Put the cropped mask of an instance into an image, by the definition of RegionOfInterest."""
    roi, mask = instance.roi, np.zeros(size, bool)
    part = pixels(instance.mask).reshape(roi.height, roi.width)
    assert set(np.unique(part)) <= {0, 255}
    mask[roi.y_offset : roi.y_offset + roi.height, roi.x_offset : roi.x_offset + roi.width] = part == 255
    return mask


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


def disc(x: float, y: float, size=SIZE) -> np.ndarray:
    """The known bundle's answer to a point: eight cells around it, of two pixels each."""
    ys, xs = np.mgrid[: size[0], : size[1]] + 0.5
    return np.hypot(xs - x, ys - y) < 16


def test_newest_image_is_answered_with_cropped_masks(node):
    stamp = node.image()
    cup = box(20, 20, 60, 50, name="cup_1", class_name="cup", score=0.75)
    reply = segment(node, cup, points(100, 60), return_label_map=True)
    assert (reply.status.code, reply.status.message) == (Status.OK, "")
    assert reply.instances.header.stamp.sec == stamp and reply.instances.header.frame_id == "camera_7"
    assert (reply.instances.height, reply.instances.width) == SIZE
    first, second = reply.instances.instances
    assert (first.id, first.name, first.class_name, first.prompt_score) == (1, "cup_1", "cup", 0.75)
    assert (second.id, second.name, second.class_name, second.prompt_score) == (2, "", "object", -1.0)
    assert first.score == pytest.approx(0.9)
    truth = np.zeros(SIZE, bool)
    truth[20:50, 20:60] = True
    assert iou(full(first), truth) > 0.95 and iou(full(second), disc(100, 60)) > 0.9
    for instance in (first, second):
        mask = full(instance)
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        roi = instance.roi
        assert (roi.y_offset, roi.x_offset) == (rows[0], columns[0])
        assert (roi.height, roi.width) == (rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1)
        assert instance.box[0] <= columns[0] + 0.5 and instance.box[2] >= columns[-1] + 0.5
    labels = pixels(reply.label_map, np.uint16)
    assert (labels == 1).sum() == full(first).sum() and (labels[full(second)] == 2).all()


def test_image_of_the_request_is_answered(node):
    image = image_message(Header(frame_id="arm"), np.full((60, 80, 3), 90, np.uint8), "rgb8")
    image.header.stamp.sec = 5
    reply = segment(node, box(10, 10, 40, 30), image=image)
    assert reply.status.code == Status.OK and not reply.label_map.data
    assert (reply.instances.header.frame_id, reply.instances.header.stamp.sec) == ("arm", 5)
    truth = np.zeros((60, 80), bool)
    truth[10:30, 10:40] = True
    assert iou(full(reply.instances.instances[0], (60, 80)), truth) > 0.9


def test_multimask_and_everything(node):
    node.image()
    reply = segment(node, points(64, 48), multimask=True)
    assert [item.id for item in reply.instances.instances] == [1, 1, 1]
    areas = [full(item).sum() for item in reply.instances.instances]
    assert areas == sorted(areas) and areas[0] < areas[1] < areas[2]
    assert iou(full(reply.instances.instances[1]), disc(64, 48)) > 0.9
    reply = segment(node, everything=True)
    assert reply.status.code == Status.OK
    (only,) = reply.instances.instances  # the other proposal is in the padding
    assert full(only)[33, 33]


def test_stamps_refer_to_buffered_and_to_expected_images(node):
    first = node.image()
    node.image()
    reply = segment(node, box(20, 20, 60, 50), stamp=Time(sec=first))
    assert reply.instances.header.stamp.sec == first
    reply = segment(node, box(20, 20, 60, 50), stamp=Time(sec=1))
    assert reply.status.code == Status.NO_IMAGE
    assert "stamp 1.000000000 s" in reply.status.message and "buffered" in reply.status.message
    awaited = node.robot.stamp + 3
    before = settled_count(node, "requests_in")
    future, client = ask(node, box(20, 20, 60, 50), stamp=Time(sec=awaited), timeout=100.0)
    node.until(lambda: node.robot.count("requests_in") > before)
    while not future.done():
        node.robot.stamp = awaited - 1  # an image may be lost
        node.image()
        node.robot.peer.until(future.done, 1.0)
    assert future.result().instances.header.stamp.sec == awaited
    node.robot.peer.node.destroy_client(client)


@pytest.mark.parametrize(
    ("prompts", "fields", "words"),
    [
        ([], {}, "0 prompts and everything: false"),
        ([box(0, 0, 9, 9)], {"everything": True}, "1 prompts and everything: true"),
        ([], {"everything": True, "multimask": True}, "multimask"),
        ([], {"everything": True, "max_prompts": 5000}, "max_prompts is 5000; expected 0 to 1024"),
        ([box(0, 0, 9, 9)], {"timeout": -1.0}, "timeout is -1.0"),
        ([box(0, 0, 9, 9)], {"timeout": math.nan}, "timeout is nan"),
        ([box(0, 0, 9)], {}, "object 0: box has 3 numbers"),
        ([box(9, 9, 0, 0)], {}, "object 0: box [9.0, 9.0, 0.0, 0.0] is empty"),
        ([box(0, 0, 9, 9), points(1, 2, 3)], {}, "object 1: points are 3 numbers"),
        ([points(math.inf, 2)], {}, "object 0: points hold NaN or infinity"),
        ([points(5, 5, labels=[1, 0])], {}, "object 0: 2 labels for 1 points"),
        ([points(5, 5, labels=[2])], {}, "object 0: labels are [2.0]"),
        ([points(5, 5, labels=[0])], {}, "object 0: all points are background"),
        ([ObjectPrompt()], {}, "object 0: the prompt is empty"),
        ([box(0, 0, 9, 9, labels=[1])], {}, "object 0: 1 labels without points"),
        ([box(0, 0, 9, 9, name="a"), box(5, 5, 9, 9, name="a")], {}, "the name 'a' is given twice"),
        ([box(0, 0, 9, 9, class_name="background")], {}, "class_name is 'background'"),
        ([box(0, 0, 9, 9, score=math.nan)], {}, "score is NaN"),
        ([points(-3, 5)], {}, "prompt 0: point (-3, 5) is outside the image of 128x96 pixels"),
        ([box(0, 0, 9, 9), box(200, 5, 210, 9)], {}, "prompt 1: box (200, 5, 210, 9) is outside"),
    ],
)
def test_fields_that_cannot_be_used_are_named(node, prompts, fields, words):
    node.image()
    reply = segment(node, *prompts, **fields)
    assert reply.status.code == Status.BAD_REQUEST and words in reply.status.message
    assert not reply.instances.instances


def test_an_unusable_image_is_a_separate_error(node):
    image = image_message(Header(), np.zeros((60, 80, 3), np.uint8), "rgb8")
    image.encoding = "hsv8"
    reply = segment(node, box(1, 1, 9, 9), image=image)
    assert reply.status.code == Status.BAD_IMAGE and "hsv8" in reply.status.message
    image.encoding = "rgb8"
    reply = segment(node, box(1, 1, 9, 9), image=image, stamp=Time(sec=4))
    assert reply.status.code == Status.BAD_REQUEST and "image and stamp" in reply.status.message


def test_slow_inference_holds_neither_executor_nor_later_requests(node):
    node.click((64, 48))
    node.in_work()
    before = settled_count(node, "requests_in")
    asked = [ask(node, points(100, 60), timeout=300.0) for _ in range(8)]
    node.until(lambda: node.robot.count("requests_in") == before + 8)
    late, client = ask(node, points(100, 60))
    node.until(late.done)
    assert late.result().status.code == Status.BUSY
    assert late.result().status.message.startswith("8 requests wait already")
    # Parameters, and so the executor, answer while the networks are held.
    node.parameter("max_prompts", 64)
    assert node.gate.in_work and not any(future.done() for future, _ in asked)
    node.gate.open()
    node.until(lambda: all(future.done() for future, _ in asked))
    assert {future.result().status.code for future, _ in asked} == {Status.OK}
    for _, each in [*asked, (late, client)]:
        node.robot.peer.node.destroy_client(each)
    node.clear()


def test_the_time_limit_ends_a_waiting_request_and_the_stream_continues(node):
    node.click((64, 48))
    node.in_work()
    reply = segment(node, points(100, 60), timeout=0.4)
    assert reply.status.code == Status.TIMEOUT and node.gate.in_work
    node.gate.open()
    assert node.next_answer() == {(64, 48)}
    assert segment(node, points(100, 60)).status.code == Status.OK


def test_pause_ends_requests_and_rejects_new_ones(node):
    node.click((64, 48))
    node.in_work()
    before = settled_count(node, "requests_in")
    future, client = ask(node, points(100, 60), timeout=300.0)
    node.until(lambda: node.robot.count("requests_in") > before)
    node.enable(False)
    node.until(future.done)
    assert future.result().status.code == Status.INACTIVE
    assert segment(node, points(100, 60)).status.code == Status.INACTIVE
    node.gate.open()
    node.robot.peer.node.destroy_client(client)


def test_failed_inference_is_reported_and_the_next_request_is_answered(node):
    node.image()
    node.gate.fail()
    reply = segment(node, points(100, 60))
    assert reply.status.code == Status.FAILED and "as the test asks" in reply.status.message
    node.gate.open()
    node.image()
    assert segment(node, points(100, 60), timeout=100.0).status.code == Status.OK


def test_mode_on_request_computes_only_on_request(node):
    node.click((64, 48))
    node.next_answer()
    node.parameter("mode", "on_request")
    before = len(node.masks)
    node.counted("frames_not_asked_about", node.image)
    node.gate.close()  # an encoder that ran would stay in work
    stamp = node.image()
    node.robot.peer.until(lambda: False, 0.5)
    assert not node.gate.in_work and not any(map(shown, node.masks[before:])), "empty outputs at most"
    node.gate.open()
    reply = segment(node, points(100, 60))
    assert reply.status.code == Status.OK and reply.instances.header.stamp.sec == stamp
    node.robot.peer.until(lambda: False, 0.3)
    assert not any(map(shown, node.masks[before:]))
    node.parameter("mode", "prompt")
    assert node.next_answer() == {(64, 48)}, "stored prompts count again"


def add(node, *objects, **fields):
    request = services.AddObjects.Request(objects=list(objects), **fields)
    return node.robot.peer.call(services.AddObjects, node.robot.topic("add_objects"), request)


def remove(node, **fields):
    request = services.RemoveObjects.Request(**fields)
    return node.robot.peer.call(services.RemoveObjects, node.robot.topic("remove_objects"), request)


def test_objects_are_added_and_removed_by_name_or_id(node):
    reply = add(node, box(16, 16, 32, 32, name="left"), points(64, 48), box(96, 64, 112, 80, name="right"))
    assert reply.status.code == Status.OK and len(set(reply.ids)) == 3
    stamp = node.image()
    assert node.labels_at(stamp, (24, 24), (64, 48), (104, 72)) == list(reply.ids)
    again = add(node, box(0, 0, 9, 9, name="new"), box(0, 0, 9, 9, name="left"))
    assert again.status.code == Status.BAD_REQUEST and "object 1" in again.status.message
    unknown = remove(node, names=["left", "middle"])
    assert unknown.status.code == Status.NOT_FOUND and "'middle'" in unknown.status.message
    assert node.next_answer() == {(24, 24), (64, 48), (104, 72)}, "all or none"
    gone = remove(node, names=["left"], ids=[reply.ids[1]])
    assert sorted(gone.removed) == sorted(reply.ids[:2])
    assert node.next_answer() == {(104, 72)}


@pytest.mark.parametrize(
    ("objects", "fields", "code", "words"),
    [
        ([], {}, Status.BAD_REQUEST, "no object is given"),
        ([points(500, 5)], {}, Status.BAD_REQUEST, "object 0: point (500, 5) is outside"),
        ([box(1, 1, 9, 9), points(5, 5, labels=[0])], {}, Status.BAD_REQUEST, "object 1: all points"),
        ([box(1, 1, 9, 9)], {"stamp": Time(sec=1)}, Status.NO_IMAGE, "no image has the stamp"),
        ([points(5, 5)] * 257, {}, Status.BAD_REQUEST, "257 objects at once; expected at most 256"),
    ],
)
def test_invalid_objects_do_not_change_the_state(node, objects, fields, code, words):
    node.image()
    reply = add(node, *objects, **fields)
    assert reply.status.code == code and words in reply.status.message and not len(reply.ids)
    assert node.next_answer() == set()


def test_added_objects_refer_to_the_image_of_a_stamp(node):
    stamp = node.image()
    node.image()
    reply = add(node, box(16, 16, 32, 32), stamp=Time(sec=stamp))
    assert reply.status.code == Status.OK
    node.answer(stamp, shows=((24, 24),))


def test_reset_forgets_all_objects(node):
    add(node, points(64, 48))
    assert node.next_answer() == {(64, 48)}
    reply = node.robot.peer.call(Trigger, node.robot.topic("reset"), Trigger.Request())
    assert reply.success and "1 prompts cleared" in reply.message
    assert node.next_answer() == set()


def test_remove_without_names_or_ids_is_an_error(node):
    assert remove(node).status.code == Status.BAD_REQUEST
