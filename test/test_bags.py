# SPDX-License-Identifier: Apache-2.0
"""Bags that rosbags wrote give their frames back; what is wrong with one is named."""

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from evitsam_ros.bags import BagError, is_bag, read_frames
from evitsam_ros.cli import main
from evitsam_ros.sources import SourceError, open_source

STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = STORE.types
PICTURES = [np.random.default_rng(i).integers(0, 255, (6, 8, 3), dtype=np.uint8) for i in range(3)]


def header(seconds: int):
    stamp = TYPES["builtin_interfaces/msg/Time"](sec=seconds, nanosec=500_000_000)
    return TYPES["std_msgs/msg/Header"](stamp=stamp, frame_id="camera")


def raw(index: int, picture: np.ndarray):
    height, width = picture.shape[:2]
    return TYPES["sensor_msgs/msg/Image"](
        header=header(index),
        height=height,
        width=width,
        encoding="bgr8",
        is_bigendian=0,
        step=3 * width,
        data=picture.reshape(-1),
    )


def compressed(index: int, picture: np.ndarray):
    data = cv2.imencode(".png", picture)[1].reshape(-1)
    return TYPES["sensor_msgs/msg/CompressedImage"](header=header(index), format="png", data=data)


@pytest.fixture
def bag(tmp_path, request):
    """A bag with a raw and a compressed camera, and a topic that is none."""
    path = tmp_path / "bag"
    with Writer(path, version=9, storage_plugin=request.param) as writer:
        kinds = {"/front": raw, "/rear/compressed": compressed}
        places = {}
        for topic, make in kinds.items():
            kind = make(0, PICTURES[0]).__msgtype__
            places[topic] = writer.add_connection(topic, kind, typestore=STORE)
        text = writer.add_connection("/chatter", "std_msgs/msg/String", typestore=STORE)
        for index, picture in enumerate(PICTURES):
            for topic, make in kinds.items():
                message = make(index, picture)
                content = STORE.serialize_cdr(message, message.__msgtype__)
                writer.write(places[topic], index * 10**9, content)
            words = TYPES["std_msgs/msg/String"](data="hello")
            writer.write(text, index * 10**9, STORE.serialize_cdr(words, words.__msgtype__))
    return path


@pytest.mark.parametrize(
    "bag", [StoragePlugin.MCAP, StoragePlugin.SQLITE3], indirect=True, ids=["mcap", "db3"]
)
@pytest.mark.parametrize("topic", ["/front", "/rear/compressed"])
def test_frames_come_back_as_they_were(bag, topic):
    assert is_bag(bag)
    frames = list(read_frames(bag, topic))
    assert [frame.stamp for frame in frames] == [0.5, 1.5, 2.5]
    assert {frame.frame_id for frame in frames} == {"camera"}
    for frame, picture in zip(frames, PICTURES, strict=True):
        np.testing.assert_array_equal(frame.image, picture[..., ::-1])
    for image, picture in zip(open_source(f"{bag}:{topic}", loop=False), PICTURES, strict=True):
        np.testing.assert_array_equal(image, picture)


@pytest.mark.parametrize(
    "bag", [StoragePlugin.MCAP, StoragePlugin.SQLITE3], indirect=True, ids=["mcap", "db3"]
)
@pytest.mark.parametrize("suffix", [".mcap", ".db3", ""])
def test_masks_are_written_beside_what_was_recorded(bag, suffix, tmp_path, capsys):
    """Read back by rosbags: everything recorded byte by byte, and the masks with their frames' headers."""
    out = tmp_path / f"answered{suffix}"
    arguments = ["bag", str(bag), "--image-topic", "/front", "--out", str(out)]
    assert main([*arguments, "--box", "1,1,7,5"]) == 0
    assert "3 frames, 3 masks, 1 ids" in capsys.readouterr().out
    before, after = messages(bag), messages(out)
    for topic in ("/front", "/rear/compressed", "/chatter"):
        assert after.pop(topic) == before[topic]
    assert sorted(after) == ["/segmenter/detections", "/segmenter/label_map", "/segmenter/overlay/compressed"]
    with AnyReader([out]) as reader:
        for connection, time, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            if connection.topic.startswith("/segmenter"):
                assert (message.header.stamp.sec, message.header.frame_id) == (time // 10**9, "camera")
            if connection.topic == "/segmenter/label_map":
                assert (message.height, message.width, message.encoding) == (6, 8, "mono16")
                assert set(np.unique(message.data.view(np.uint16))) <= {0, 1} and len(message.data) == 2 * 48
            if connection.topic == "/segmenter/detections":
                assert [d.id for d in message.detections] == ["1"]
    assert main([*arguments, "--everything"]) == 1
    assert "exists already" in capsys.readouterr().err


def messages(bag) -> dict[str, list[tuple[int, bytes]]]:
    found: dict[str, list[tuple[int, bytes]]] = {}
    with AnyReader([bag]) as reader:
        for connection, time, raw in reader.messages():
            found.setdefault(connection.topic, []).append((time, bytes(raw)))
    return found


@pytest.mark.parametrize("bag", [StoragePlugin.MCAP], indirect=True)
def test_wrong_topics_and_broken_bags_are_named(bag, tmp_path):
    with pytest.raises(BagError, match="not one image topic; its image topics: /front, /rear/compressed"):
        list(read_frames(bag))
    with pytest.raises(SourceError, match="no image topic '/chatter'"):
        list(open_source(f"{bag}:/chatter"))
    (tmp_path / "broken.mcap").write_bytes(b"no bag at all")
    with pytest.raises(BagError, match=r"broken\.mcap cannot be read"):
        list(read_frames(tmp_path / "broken.mcap"))
