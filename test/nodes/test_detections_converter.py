# SPDX-License-Identifier: Apache-2.0
"""Detections of other packages become prompts: by their fields, and over real DDS."""

from types import SimpleNamespace

import pytest

from evitsam_ros.nodes.detection_fields import (
    FoundObject,
    Selection,
    UnknownFieldsError,
    found_objects,
)

from .harness import Peer, Process, next_domain
from .prompting import detection, vision_msgs


def fields(**values) -> SimpleNamespace:
    return SimpleNamespace(**values)


def point(x: float, y: float) -> SimpleNamespace:
    return fields(x=x, y=y)


def yolo(identity: str = "3", name: str = "cup", score: float = 0.8) -> SimpleNamespace:
    """The fields of yolo_msgs/Detection that yolo_ros fills in for a box."""
    bbox = fields(center=fields(position=point(50.0, 40.0), theta=0.1), size=point(20.0, 10.0))
    return fields(class_id=41, class_name=name, score=score, id=identity, bbox=bbox, keypoints=[])


def tag() -> SimpleNamespace:
    """The fields of apriltag_msgs/AprilTagDetection."""
    corners = [point(10.0, 12.0), point(30.0, 10.0), point(32.0, 30.0), point(12.0, 34.0)]
    return fields(family="tag36h11", id=7, hamming=0, centre=point(21.0, 21.5), corners=corners)


def array(*detections) -> SimpleNamespace:
    return fields(header=fields(), detections=list(detections))


def test_yolo_msgs():
    assert found_objects(array(yolo())) == [FoundObject("3", "cup", 0.8, (50.0, 40.0), (20.0, 10.0), 0.1)]
    assert found_objects(array(yolo(name="")))[0].class_name == "41"


def test_apriltag_msgs():
    name = "tag36h11:7"
    assert found_objects(array(tag())) == [FoundObject(name, name, None, (21.0, 22.0), (22.0, 24.0))]


def test_vision_msgs_of_both_versions():
    new = detection(50, 40, 20, 10, identity="a", name="cup")
    new.results[0].hypothesis.score = 0.5
    assert found_objects(array(new)) == [FoundObject("a", "cup", 0.5, (50.0, 40.0), (20.0, 10.0))]
    bbox = fields(center=fields(x=50.0, y=40.0, theta=0.0), size_x=20.0, size_y=10.0)
    old = fields(results=[fields(id="cup", score=0.5)], bbox=bbox)
    assert found_objects(array(old)) == [FoundObject("", "cup", 0.5, (50.0, 40.0), (20.0, 10.0))]
    assert found_objects(array(fields(results=[], bbox=bbox, id="b")))[0].score is None


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (fields(data=1), "the fields data; expected header and detections"),
        (array(fields(pose=1)), "a detection has the fields pose; expected those of"),
        (array(fields(results=[], boxes=1)), "a detection has the fields results, boxes"),
    ],
)
def test_other_fields_are_named(message, words):
    with pytest.raises(UnknownFieldsError, match=words):
        found_objects(message)


def test_selection_by_score_class_and_size():
    objects = found_objects(array(yolo("1"), yolo("2", score=0.2), yolo("3", name="dog"), tag()))
    passed = Selection(min_score=0.5, classes=("cup", "tag36h11:7"), grow=2.0).apply(objects)
    assert [(item.sender_id, item.size) for item in passed] == [
        ("1", (40.0, 20.0)),
        ("tag36h11:7", (44.0, 48.0)),
    ]
    flat = FoundObject("", "cup", 0.9, (1.0, 1.0), (0.0, 5.0))
    assert Selection().apply([flat]) == []


def test_boxes_in_a_resized_image_are_moved_into_the_image():
    (item,) = Selection(scale=2.0, grow=1.5).apply(found_objects(array(yolo())))
    assert (item.centre, item.size, item.angle) == ((100.0, 80.0), (60.0, 30.0), 0.1)


def test_numbers_of_classes_get_names():
    names = Selection(class_names=("person", "bicycle"))
    found = [FoundObject("", number, 0.9, (1.0, 1.0), (5.0, 5.0)) for number in ("1", "2", "cup")]
    assert [item.class_name for item in names.apply(found)] == ["bicycle", "2", "cup"]


def test_node_subscribes_with_the_type_of_the_publisher(tmp_path):
    domain = next_domain()
    peer = Peer(domain)
    process = Process("detections_converter", domain, tmp_path / "log", {"min_score": 0.5})
    try:
        heard = peer.listen(vision_msgs.Detection2DArray, "/detections_out")
        sure, unsure = (detection(50, 40, 20, 10, identity=name, name="cup") for name in "ab")
        sure.results[0].hypothesis.score, unsure.results[0].hypothesis.score = 0.9, 0.1
        message = vision_msgs.Detection2DArray(detections=[sure, unsure])
        message.header.frame_id, message.header.stamp.sec = "camera_7", 12
        publisher = peer.node.create_publisher(vision_msgs.Detection2DArray, "/detections_in", 5)
        peer.node.create_timer(0.2, lambda: publisher.publish(message))
        assert peer.until(lambda: bool(heard), 200), process.output
        (only,) = heard[0].detections
        assert (only.id, only.results[0].hypothesis.class_id) == ("a", "cup")
        assert only.results[0].hypothesis.score == 0.9 and only.bbox.size_x == 20.0
        assert heard[0].header == message.header
    finally:
        code = process.stop()
        peer.close()
    assert code == 0


def test_unusable_parameter_ends_the_node_with_one_line(tmp_path):
    process = Process("detections_converter", next_domain(), tmp_path / "log", {"min_score": 5.0})
    assert process.process.wait(timeout=200) == 2
    assert process.output.strip() == "detections_converter: min_score is 5.0; expected 0 to 1"
