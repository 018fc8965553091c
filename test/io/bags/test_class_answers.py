# SPDX-License-Identifier: Apache-2.0
"""Bags with the class of every pixel, and masks with class names, read back by rosbags."""

import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability
from rosbags.rosbag2 import Reader

from evitsam_ros.cli import main
from evitsam_ros.dense import SemanticSegmenter
from evitsam_ros.io.bags import BagError
from evitsam_ros.io.bags.answers import DETECTIONS
from evitsam_ros.io.bags.class_answers import LABEL_INFO, LABEL_MAP, OVERLAY, label_bag

from ...conftest import ROOT
from ...nodes.colour_classes import COLOURS, write_colour_classes
from .recordings import Recording, compressed, messages, raw


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    return write_colour_classes(tmp_path_factory.mktemp("engines") / "colours")


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    """Two images: stop above grass, and the other way round."""
    path = tmp_path_factory.mktemp("bags") / "drive"
    view = np.zeros((64, 96, 3), np.uint8)
    view[:32], view[32:] = COLOURS["stop"], COLOURS["grass"]
    with Recording(path) as recording:
        for index, image in enumerate((view, view[::-1])):
            recording.put("/front", index, raw(index, np.ascontiguousarray(image[..., ::-1])))  # BGR
    return path


def read(path) -> dict[str, list]:
    """Messages by topic, deserialized."""
    with AnyReader([path]) as reader:
        found: dict[str, list] = {}
        for connection, _, data in reader.messages():
            found.setdefault(connection.topic, []).append(reader.deserialize(data, connection.msgtype))
        return found


def test_label_maps_and_names_are_written_beside_the_recorded_topics(bag, colours, tmp_path):
    out = tmp_path / "classes.mcap"
    command = ["bag", str(bag), "--semantic", "--semantic-model", str(colours), "--out", str(out)]
    assert main(command) == 0
    assert messages(out)["/front"] == messages(bag)["/front"]
    found = read(out)
    maps = [message.data.reshape(64, 96) for message in found[LABEL_MAP]]
    assert [message.encoding for message in found[LABEL_MAP]] == ["mono8", "mono8"]
    assert [np.unique(labels[:24]).tolist() for labels in maps] == [[1], [2]]
    assert [np.unique(labels[40:]).tolist() for labels in maps] == [[2], [1]]
    (info,) = found[LABEL_INFO]
    assert {e.class_id: e.class_name for e in info.class_map} == dict(enumerate(["void", *COLOURS]))
    assert len(found[OVERLAY]) == 2
    with Reader(out) as reader:
        (latched,) = [c for c in reader.connections if c.topic == LABEL_INFO]
    assert latched.ext.offered_qos_profiles[0].durability == QosDurability.TRANSIENT_LOCAL


def test_masks_of_a_bag_have_class_names(bag, colours, tmp_path):
    out = tmp_path / "masks.mcap"
    semantic = ["--semantic", "--semantic-model", str(colours)]
    model = ["--model", str(ROOT / "engines" / "lite_sam"), "--box", "4,2,90,62"]
    assert main(["bag", str(bag), *model, *semantic, "--out", str(out)]) == 0
    plain = tmp_path / "plain.mcap"
    assert main(["bag", str(bag), *model, "--out", str(plain)]) == 0
    named = [d.results[0].hypothesis.class_id for m in read(out)[DETECTIONS] for d in m.detections]
    assert named and set(named) <= {"stop", "grass"}
    assert {d.results[0].hypothesis.class_id for m in read(plain)[DETECTIONS] for d in m.detections} == {
        "object"
    }


def test_answers_of_before_are_replaced_and_the_topic_is_a_cameras(bag, colours, tmp_path):
    segmenter = SemanticSegmenter.open(colours, "onnxruntime", threads=1)
    first, second = tmp_path / "first.mcap", tmp_path / "second.mcap"
    label_bag(segmenter, bag, first)
    assert label_bag(segmenter, first, second).frames == 2
    assert {topic: len(found) for topic, found in messages(second).items()} == {
        "/front": 2,
        LABEL_MAP: 2,
        OVERLAY: 2,
        LABEL_INFO: 1,
    }
    with pytest.raises(BagError, match="is a topic of the answers"):
        label_bag(segmenter, first, tmp_path / "third.mcap", LABEL_MAP)


def test_a_damaged_image_is_copied_and_has_no_classes(colours, tmp_path):
    path = tmp_path / "drive"
    view = np.full((64, 96, 3), COLOURS["grass"], np.uint8)
    with Recording(path) as recording:
        for index in range(3):
            recording.put("/front", index, compressed(index, view, ".jpg", 0.5 if index == 1 else 1.0))
    segmenter = SemanticSegmenter.open(colours, "onnxruntime", threads=1)
    done = label_bag(segmenter, path, tmp_path / "out.mcap")
    assert (done.frames, done.damaged) == (2, 1)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--semantic", "--model", "other"], "name the semantic bundle with"),
        (["--score-threshold", "0.5", "--everything"], "are for --semantic"),
        (["--semantic", "--semantic-model", str(ROOT / "engines" / "lite_sam")], "expected 'semantic'"),
    ],
)
def test_options_that_do_not_fit_are_named(bag, tmp_path, capsys, arguments, text):
    assert main(["bag", str(bag), "--out", str(tmp_path / "out.mcap"), *arguments]) == 1
    assert text in capsys.readouterr().err
