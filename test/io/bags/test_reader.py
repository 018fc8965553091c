# SPDX-License-Identifier: Apache-2.0
"""Bags that rosbags wrote give their frames back; what is wrong with one is named."""

import shutil

import numpy as np
import pytest
from rosbags.rosbag1 import Writer as Writer1
from rosbags.typesys import Stores, get_typestore

from evitsam_ros.io.bags import BagError, is_bag, open_bag, read_frames
from evitsam_ros.io.sources import SourceError, open_source

from .recordings import (
    DB3,
    IMAGE,
    IMAGES,
    MCAP,
    RELIABLE,
    STORE,
    Recording,
    compressed,
    content,
    file_of,
    raw,
    record,
    text,
)


@pytest.fixture
def bag(tmp_path, request):
    """A bag with a raw and a compressed camera, and a topic that is none."""
    path = tmp_path / "bag"
    with Recording(path, request.param) as recording:
        for index, image in enumerate(IMAGES):
            recording.put("/front", index, raw(index, image))
            recording.put("/rear/compressed", index, compressed(index, image))
            recording.put("/chatter", index, text("hello"))
    return path


def assert_images(frames, images=IMAGES) -> None:
    for frame, expected in zip(frames, images, strict=True):
        np.testing.assert_array_equal(frame.image, expected[..., ::-1])


@pytest.mark.parametrize("bag", [MCAP, DB3], indirect=True, ids=["mcap", "db3"])
@pytest.mark.parametrize("topic", ["/front", "/rear/compressed"])
def test_frames_are_read_unchanged(bag, topic):
    assert is_bag(bag)
    frames = list(read_frames(bag, topic))
    assert [frame.stamp for frame in frames] == [0.5, 1.5, 2.5]
    assert {frame.frame_id for frame in frames} == {"camera"}
    assert_images(frames)
    for image, expected in zip(open_source(f"{bag}:{topic}", loop=False), IMAGES, strict=True):
        np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize("bag", [MCAP], indirect=True)
def test_wrong_topics_and_broken_bags_are_named(bag, tmp_path):
    with pytest.raises(BagError, match="not one image topic; its image topics: /front, /rear/compressed; ch"):
        list(read_frames(bag))
    with pytest.raises(SourceError, match="no image topic '/chatter'"):
        list(open_source(f"{bag}:/chatter"))
    (tmp_path / "broken.mcap").write_bytes(b"no bag at all")
    with pytest.raises(BagError, match=r"broken\.mcap cannot be read: it is no MCAP file; to mend it: mcap"):
        list(read_frames(tmp_path / "broken.mcap"))
    (tmp_path / "broken.db3").write_bytes(b"no bag at all" * 99)
    with pytest.raises(BagError, match=r"cannot be read: file is not a database; to mend it: sqlite3 .*"):
        list(read_frames(tmp_path / "broken.db3"))
    with pytest.raises(BagError, match="there is no such file or folder"):
        list(read_frames(tmp_path / "nowhere.mcap"))


def test_a_topic_without_messages_and_a_bag_without_images_are_named(tmp_path):
    with Recording(tmp_path / "quiet") as recording:
        recording.topic("/front", IMAGE)
    with pytest.raises(BagError, match="has no messages on /front"):
        list(read_frames(tmp_path / "quiet"))
    with Recording(tmp_path / "texts") as recording:
        recording.put("/chatter", 0, text("hello"))
    with pytest.raises(BagError, match="not one image topic; its image topics: none"):
        list(read_frames(tmp_path / "texts"))


def test_a_ros_1_bag_is_rejected_with_the_conversion_command(tmp_path):
    store = get_typestore(Stores.ROS1_NOETIC)
    path = tmp_path / "old one.bag"
    with Writer1(path) as writer:
        writer.add_connection("/front", IMAGE, typestore=store)
    with pytest.raises(SourceError, match=r"of ROS 1; convert it first: rosbags-convert --src '.*one\.bag'"):
        list(open_source(str(path)))


@pytest.mark.parametrize(
    "name", ["drive_10:30:00.mcap", "50%20.db3", "what?#.db3", "caf\udce9.db3", "caf\udce9.mcap"]
)
def test_any_name_will_do(tmp_path, name):
    plugin = DB3 if name.endswith(".db3") else MCAP
    path = tmp_path / name
    shutil.copy(file_of(record(tmp_path / "bag", plugin=plugin)), path)
    for source in (path, f"{path}:/front"):
        assert len(list(open_source(str(source), loop=False))) == 3


def test_several_publishers_of_a_topic_are_one_camera(tmp_path):
    with Recording(tmp_path / "bag") as recording:
        first = recording.topic("/front", IMAGE)
        second = recording.topic("/front", IMAGE, typestore=STORE, offered_qos_profiles=[RELIABLE])
        for index, image in enumerate(IMAGES):
            place = (first, second)[index % 2]
            recording.writer.write(place, index * 10**9, content(raw(index, image)))
    assert_images(read_frames(tmp_path / "bag"))
    with open_bag(tmp_path / "bag") as bag:
        (channel,) = bag.channels
    assert channel.count == 3 and channel.qos == (RELIABLE,)


@pytest.mark.parametrize("kind", ["sensor_msgs/Image", "sensor_msgs/msg/Image"])
def test_a_type_may_have_its_short_name(tmp_path, kind):
    with Recording(tmp_path / "bag") as recording:
        definition = STORE.generate_msgdef(IMAGE, ros_version=2)[0]
        recording.topic("/front", kind, msgdef=definition, rihs01=STORE.hash_rihs01(IMAGE))
        for index, image in enumerate(IMAGES):
            recording.bytes("/front", index, content(raw(index, image)))
    assert_images(read_frames(tmp_path / "bag"))


def test_the_segmenters_own_images_are_no_camera(tmp_path):
    with Recording(tmp_path / "bag") as recording:
        for index, image in enumerate(IMAGES):
            recording.put("/front", index, raw(index, image))
            recording.put("/segmenter/mask", index, raw(index, image))
    assert len(list(read_frames(tmp_path / "bag"))) == 3
