# SPDX-License-Identifier: Apache-2.0
"""Labels as COCO for training, as answered bags, with a detector's prompts, and with classes."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from pycocotools import mask as codec
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from evitsam_ros.bundle import DEFAULT_SEMANTIC
from evitsam_ros.io.bags import BagError
from evitsam_ros.labelling.coco import write_coco
from evitsam_ros.labelling.detections import numbered_prompts
from evitsam_ros.labelling.job import JobError
from test.io.bags.recordings import Recording, header, raw

from .in_process import labelled
from .scenes import ROOT, rows, scene, write_bag, write_folder, write_shard


def test_training_reads_the_labels_with_the_same_masks(options, tmp_path):
    """By training's own reader; images beside the annotations are named as they are, others are linked."""
    annotations = pytest.importorskip("training.annotations")
    data = tmp_path / "data"
    (data / "annotations").mkdir(parents=True)
    inside = write_folder(data / "images" / "shapes", 2)
    outside = write_folder(tmp_path / "elsewhere", 3)
    bag, shard = write_bag(tmp_path / "drive", 2), write_shard(tmp_path / "s.tar", 1)
    found = labelled(tmp_path / "out", [inside, outside, bag, shard], options, "--cut", "1")
    counts = write_coco(str(tmp_path / "out"), data / "annotations" / "big_train.json")
    assert counts == (8, 16) and len(found) == 16
    records = annotations.read_folder(data, ["*_train"])
    assert len(records) == 8
    named = {record.name: record for record in records}
    assert {"shapes/image0.png", "shapes/image1.png"} <= set(named)
    for record in records:
        image = record.read_image()
        number = int("".join(c for c in record.name.rpartition("/")[2] if c.isdigit()))
        difference = np.abs(image.astype(int) - scene(number)[..., ::-1].astype(int))
        assert difference.mean() < 4, "the image of the labels, as JPEG where it was none"
    reds = [row for row in found if row["recording"] == str(inside) and row["name"] == "image1.png"]
    for row, rle in zip(
        sorted(reds, key=lambda r: r["object_id"]), named["shapes/image1.png"].rles, strict=True
    ):
        expected = {"size": [row["height"], row["width"]], "counts": row["rle"]}
        assert np.array_equal(codec.decode(rle), codec.decode(expected))


def test_a_folder_without_labels_is_one_clear_line(tmp_path):
    with pytest.raises(JobError, match=r"manifest\.json"):
        write_coco(str(tmp_path), tmp_path / "x.json")


def test_answered_bags_agree_with_the_rows(colour, tmp_path):
    bag = write_bag(tmp_path / "drive", 3)
    options = ("--everything", "--model", str(colour), "--backend", "onnxruntime", "--bags")
    found = labelled(tmp_path / "out", [bag], options)
    (answered,) = (tmp_path / "out" / "bags").glob("*.mcap")
    topics = topics_of(answered)
    assert len(topics["/front"]) == len(topics["/segmenter/label_map"]) == 3
    for number, data in enumerate(topics["/segmenter/label_map"]):
        message = get_typestore(Stores.ROS2_JAZZY).deserialize_cdr(data, "sensor_msgs/msg/Image")
        labels = np.frombuffer(message.data, np.uint16).reshape(message.height, message.width)
        of_frame = [row for row in found if row["frame"] == number]
        assert of_frame and {row["object_id"] for row in of_frame} == set(np.unique(labels)) - {0}
        assert of_frame[0]["stamp"] == message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
    plain = labelled(tmp_path / "plain", [bag], options[:-1], "--track")
    assert plain == found


def topics_of(file) -> dict[str, list[bytes]]:
    from rosbags.rosbag2 import Reader

    found: dict[str, list[bytes]] = {}
    with Reader(file) as reader:
        for connection, _, data in reader.messages():
            found.setdefault(connection.topic, []).append(data)
    return found


def vision_store():
    store = get_typestore(Stores.ROS2_JAZZY)
    types = {}
    for file in (ROOT / "interfaces" / "vision_msgs" / "msg").glob("*.msg"):
        types |= get_types_from_msg(file.read_text(), f"vision_msgs/msg/{file.stem}")
    store.register({name: value for name, value in types.items() if name not in store.types})
    return store


def detection(types, head, box, name: str, identity: str):
    x0, y0, x1, y1 = box
    point, quaternion = types["geometry_msgs/msg/Point"](0.0, 0.0, 0.0), types["geometry_msgs/msg/Quaternion"]
    pose = types["geometry_msgs/msg/PoseWithCovariance"](
        types["geometry_msgs/msg/Pose"](point, quaternion(0.0, 0.0, 0.0, 1.0)), np.zeros(36)
    )
    result = types["vision_msgs/msg/ObjectHypothesisWithPose"](
        types["vision_msgs/msg/ObjectHypothesis"](name, 0.5), pose
    )
    centre = types["vision_msgs/msg/Pose2D"](
        types["vision_msgs/msg/Point2D"]((x0 + x1) / 2, (y0 + y1) / 2), 0.0
    )
    bbox = types["vision_msgs/msg/BoundingBox2D"](centre, float(x1 - x0), float(y1 - y0))
    return types["vision_msgs/msg/Detection2D"](head, [result], bbox, identity)


@pytest.fixture
def detected(tmp_path):
    """Record three images; a detector answers the first one late, and the third one."""
    store, kind = vision_store(), "vision_msgs/msg/Detection2DArray"
    path = tmp_path / "detected"
    with Recording(path) as bag:
        bag.topic("/boxes", kind, typestore=store)
        for number in range(3):
            bag.put("/front", number, raw(number, scene(number)))
        for number, box, name in ((0, (5, 15, 70, 55), "robot"), (2, (80, 55, 120, 90), "")):
            one = detection(store.types, header(number), box, name, "17" if name else "")
            message = store.types[kind](header(number), [one])
            bag.bytes("/boxes", number + 5, bytes(store.serialize_cdr(message, kind)))
    return path


def test_a_detectors_boxes_prompt_the_image_of_their_stamp(detected, colour, tmp_path):
    options = ("--detections", "/boxes", "--model", str(colour), "--backend", "onnxruntime")
    found = labelled(tmp_path / "out", [detected], options)
    assert [(row["frame"], row["object_id"], row["class"]) for row in found] == [
        (0, 17, "robot"),
        (2, 1, None),
    ]
    assert found[0]["box"][0] < 20 and found[1]["box"][0] > 75
    assert [row["masks"] for row in rows(tmp_path / "out", "frames")] == [1, 0, 1]


def test_a_detectors_topic_that_is_none_is_one_clear_line(detected, colour, tmp_path):
    options = ("--model", str(colour), "--backend", "onnxruntime", "--detections")
    for topic, words in (("/front", r"of the type sensor_msgs/msg/Image"), ("/nothing", "not in it")):
        with pytest.raises(BagError, match=words):
            labelled(tmp_path / topic.strip("/"), [detected], (*options, topic))


def test_ids_of_detections_are_different():
    def one(identity: str, x: float):
        centre = SimpleNamespace(position=SimpleNamespace(x=x, y=20.0), theta=0.0)
        return SimpleNamespace(
            id=identity, results=[], bbox=SimpleNamespace(center=centre, size_x=10.0, size_y=10.0)
        )

    message = SimpleNamespace(
        detections=[one("2", 20.0), one("", 40.0), one("abc", 60.0), one("99999999999", 80.0), one("²", 90.0)]
    )
    prompts, names = numbered_prompts(message)
    assert [prompt.object_id for prompt in prompts] == [2, 3, 4, 5, 6] and not names
    assert numbered_prompts(None) == ([], {})


def test_class_labels_are_one_row_per_class_and_image(tmp_path):
    bundle = ROOT / "engines" / DEFAULT_SEMANTIC
    from evitsam_ros.dense import SemanticSegmenter

    folder = tmp_path / "pictures"
    folder.mkdir()
    image = cv2.imread(str(ROOT / "demo" / "pictures" / "coffee.jpg"))
    cv2.imwrite(str(folder / "coffee.png"), image)
    found = labelled(tmp_path / "out", [folder], ("--semantic", "--backend", "onnxruntime"))
    truth = SemanticSegmenter.open(bundle, "onnxruntime", 1).segment(np.ascontiguousarray(image[..., ::-1]))
    assert {row["object_id"] for row in found} == set(np.unique(truth.labels)) - {0}
    for row in found:
        mask = codec.decode({"size": [row["height"], row["width"]], "counts": row["rle"]}).astype(bool)
        assert np.array_equal(mask, truth.labels == row["object_id"])
        assert row["class"] == truth.classes.names[row["object_id"] - 1]
        assert 0 < row["score"] <= 1
    content = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert list(content["models"]) == ["semantic_model"]


def coco_files(labels, file) -> dict[str, np.ndarray]:
    """Write a COCO file, and return its images by ``file_name``."""
    file.parent.mkdir(exist_ok=True)
    write_coco(str(labels), file)
    names = [entry["file_name"] for entry in json.loads(file.read_text())["images"]]
    return {name: cv2.imread(str(file.parent / name)) for name in names}


def test_members_of_a_shard_stay_below_the_coco_file_and_each_has_its_own(options, tmp_path):
    """A path out of the folder, an absolute one, one name with two endings, and one that is there twice."""
    place = tmp_path / "deep"
    place.mkdir()
    members = {"../../out.png": 1, str(tmp_path / "absolute.png"): 2, "a.png": 3, "a.jpg": 4}
    shard = place / "s.tar"
    with tarfile.open(shard, "w") as tar:
        for name, number in [*members.items(), ("a.png", 5)]:
            data = cv2.imencode(Path(name).suffix, scene(number))[1].tobytes()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    labelled(tmp_path / "labels", [shard], options)
    errors = [row["error"] for row in rows(tmp_path / "labels", "frames") if row["error"]]
    assert errors == ["a member of this name came before"]
    found = coco_files(tmp_path / "labels", place / "coco" / "all.json")
    assert len(found) == 4
    for image, number in zip(found.values(), members.values(), strict=True):
        assert np.abs(image.astype(int) - scene(number)).mean() < 4, number
    assert {path.parent for path in tmp_path.rglob("*.jpg")} <= {
        path for path in (place / "coco").rglob("*") if path.is_dir()
    }


def test_linked_images_have_names_that_training_reads(options, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number, name in enumerate(("caf\udce9.png", "back\\slash.png", "new\nline.png")):
        (folder / name).write_bytes(cv2.imencode(".png", scene(number))[1].tobytes())
    labelled(tmp_path / "labels", [folder], options)
    found = coco_files(tmp_path / "labels", tmp_path / "coco" / "all.json")
    assert all(name.isprintable() and "\\" not in name for name in found)
    assert sorted(image.sum() for image in found.values()) == sorted(scene(n).sum() for n in range(3))


def test_an_image_that_is_gone_is_named_and_not_linked(options, tmp_path):
    folder = write_folder(tmp_path / "images", 2)
    labelled(tmp_path / "labels", [folder], options)
    (folder / "image1.png").unlink()
    with pytest.raises(JobError, match=r"image1\.png is gone"):
        coco_files(tmp_path / "labels", tmp_path / "coco" / "all.json")
    assert not [path for path in (tmp_path / "coco").rglob("*") if path.is_symlink() and not path.exists()]


def detections_at(seconds: list[int], images: list[int], path):
    """Record images with these stamps, and for each detection a box around the red patch."""
    store, kind = vision_store(), "vision_msgs/msg/Detection2DArray"
    with Recording(path) as bag:
        bag.topic("/boxes", kind, typestore=store)
        for number, stamp in enumerate(images):
            bag.put("/front", number, raw(stamp, scene(number)))
        for number, stamp in enumerate(seconds):
            head = header(stamp)
            if not stamp:
                head.stamp.nanosec = 0
            message = store.types[kind](
                head, [detection(store.types, head, (5, 15, 70, 55), "robot", "70000")]
            )
            bag.bytes("/boxes", number, bytes(store.serialize_cdr(message, kind)))
    return path


def with_detections(bag, colour, out) -> list[dict]:
    return labelled(
        out, [bag], ("--detections", "/boxes", "--model", str(colour), "--backend", "onnxruntime")
    )


@pytest.mark.parametrize(
    ("stamps", "images", "words"),
    [
        ([1, 1], [1, 2], "1 messages have the stamp of another one; the last of a stamp counts"),
        ([8, 9], [1, 2], "no message has the stamp of an image; no image has prompts"),
        ([1, 2], [1, 1], "1 messages have the stamp of more than one image"),
    ],
)
def test_detections_whose_stamps_are_ambiguous_are_named(stamps, images, words, colour, tmp_path, caplog):
    with_detections(detections_at(stamps, images, tmp_path / "bag"), colour, tmp_path / "out")
    assert words in caplog.text


def test_detections_without_stamps_belong_to_no_image(colour, tmp_path):
    with pytest.raises(BagError, match="a message has the stamp 0; expected the stamp of its image"):
        with_detections(detections_at([0, 0], [1, 2], tmp_path / "bag"), colour, tmp_path / "out")


def test_an_id_beyond_those_of_objects_is_replaced(colour, tmp_path):
    found = with_detections(detections_at([1], [1], tmp_path / "bag"), colour, tmp_path / "out")
    assert [row["object_id"] for row in found] == [1]


def test_a_damaged_message_of_a_detector_costs_itself_alone(detected, colour, tmp_path, caplog):
    from rosbags.rosbag2 import Reader

    store, kind = vision_store(), "vision_msgs/msg/Detection2DArray"
    with Reader(detected) as reader, Recording(tmp_path / "damaged") as bag:
        bag.topic("/boxes", kind, typestore=store)
        bag.topic("/front", "sensor_msgs/msg/Image")
        for connection, time, data in reader.messages():
            whole = connection.topic == "/front" or time > 5 * 10**9
            bag.bytes(connection.topic, time // 10**9, bytes(data) if whole else bytes(data)[:50])
    found = with_detections(tmp_path / "damaged", colour, tmp_path / "out")
    assert [row["frame"] for row in found] == [2] and "message 0 cannot be read" in caplog.text
