# SPDX-License-Identifier: Apache-2.0
"""The copy has everything that was recorded, byte by byte, and the masks beside it."""

import shutil
import sqlite3

import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Reader
from rosbags.typesys import get_types_from_msg

from evitsam_ros.cli import main
from evitsam_ros.io.bags import BagError
from evitsam_ros.io.bags import answers as module
from evitsam_ros.io.bags.answers import DETECTIONS, LABEL_MAP, OVERLAY, answer_bag
from evitsam_ros.segment import Prompt, PromptError, Segmenter

from ...conftest import ROOT
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
    messages,
    raw,
    record,
    text,
)

ANSWERS = [DETECTIONS, LABEL_MAP, OVERLAY]
BOX = {1: Prompt(box=(1, 1, 7, 5))}


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter.open(ROOT / "engines" / "lite_sam")


@pytest.mark.parametrize("plugin", [MCAP, DB3], ids=["mcap", "db3"])
@pytest.mark.parametrize("suffix", [".mcap", ".db3", ""])
def test_masks_are_written_beside_the_recorded_topics(plugin, suffix, tmp_path, segmenter):
    """Read back by rosbags: everything recorded byte by byte, and the masks with their frames' headers."""
    bag, out = tmp_path / "bag", tmp_path / f"answered{suffix}"
    with Recording(bag, plugin) as recording:
        for index, image in enumerate(IMAGES):
            recording.put("/front", index, raw(index, image))
            recording.put("/rear/compressed", index, compressed(index, image))
            recording.put("/chatter", index, text("hello"))
    done = answer_bag(segmenter, bag, out, "/front", prompts=BOX)
    assert (done.frames, done.masks, done.ids, done.damaged) == (3, 3, {1}, 0)
    before, after = messages(bag), messages(out)
    for topic in ("/front", "/rear/compressed", "/chatter"):
        assert after.pop(topic) == before[topic]
    assert sorted(after) == ANSWERS
    with AnyReader([out]) as reader:
        for connection, time, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            if connection.topic.startswith("/segmenter"):
                assert (message.header.stamp.sec, message.header.frame_id) == (time // 10**9, "camera")
                assert message.header.stamp.nanosec == 500_000_000
            if connection.topic == LABEL_MAP:
                assert (message.height, message.width, message.encoding) == (6, 8, "mono16")
                assert set(np.unique(message.data.view(np.uint16))) <= {0, 1} and len(message.data) == 2 * 48
            if connection.topic == DETECTIONS:
                assert [d.id for d in message.detections] == ["1"]
    with pytest.raises(BagError, match="exists already"):
        answer_bag(segmenter, bag, out, "/front")


def test_the_command_prints_a_summary(tmp_path, capsys):
    bag, out = record(tmp_path / "bag"), tmp_path / "out.mcap"
    assert main(["bag", str(bag), "--box", "1,1,7,5", "--out", str(out), "--model", "lite_sam"]) == 0
    assert (
        f"3 frames, 3 masks, 1 ids -> {out}: {LABEL_MAP}, {OVERLAY}, {DETECTIONS}" in capsys.readouterr().out
    )


def without_definitions(bag) -> None:
    """As Humble records: no definitions and no hashes in the file."""
    with sqlite3.connect(file_of(bag)) as database:
        database.execute("DROP TABLE message_definitions")
        database.execute("UPDATE topics SET type_description_hash = ''")
        database.execute("UPDATE schema SET schema_version = 3")
    database.close()
    (bag / "metadata.yaml").unlink()


@pytest.mark.parametrize("suffix", [".mcap", ".db3"])
def test_an_unknown_type_is_copied_without_a_definition(tmp_path, segmenter, suffix):
    store = STORE.__class__()
    store.register({**STORE.fielddefs, **get_types_from_msg("float64 x\nstring name", "my_msgs/msg/Status")})
    status = store.types["my_msgs/msg/Status"](1.0, "a")
    bag, out = tmp_path / "bag", tmp_path / f"out{suffix}"
    with Recording(bag, DB3) as recording:
        recording.topic("/status", "my_msgs/msg/Status", typestore=store)
        for index, image in enumerate(IMAGES):
            recording.put("/front", index, raw(index, image))
            recording.bytes("/status", index, bytes(store.serialize_cdr(status, "my_msgs/msg/Status")))
            recording.put("/chatter", index, text("hello"))
    before = messages(bag)
    without_definitions(bag)
    answer_bag(segmenter, bag, out, prompts=BOX)
    after = messages(out)
    assert {topic: after[topic] for topic in before} == before
    with Reader(out) as reader:
        definitions = {c.topic: c.msgdef for c in reader.connections}
    assert definitions["/status"].format.name == "NONE", "an invented definition would be believed"
    assert "string data" in definitions["/chatter"].data, "what this machine knows is added"
    with AnyReader([out]) as reader:  # and a reader that parses definitions is content
        assert {c.topic for c in reader.connections} == {*before, *ANSWERS}


def test_events_of_services_are_copied_with_their_text(tmp_path, segmenter):
    """Service introspection records a .srv text, which is no message definition."""
    bag, out, srv = tmp_path / "bag", tmp_path / "out.mcap", "int64 a\nint64 b\n---\nint64 sum\n"
    with Recording(bag) as recording:
        kind = "example_interfaces/srv/AddTwoInts_Event"
        recording.topic("/add/_service_event", kind, msgdef=srv, rihs01="RIHS01_" + "0" * 64)
        recording.put("/front", 0, raw(0, IMAGES[0]))
        recording.bytes("/add/_service_event", 1, b"\0\1\0\0" + bytes(40))
    answer_bag(segmenter, bag, out, prompts=BOX)
    assert messages(out)["/add/_service_event"] == messages(bag)["/add/_service_event"]
    with Reader(out) as reader:
        assert {c.msgdef.data for c in reader.connections if c.topic == "/add/_service_event"} == {srv}


def test_several_publishers_become_one_topic_with_all_messages(tmp_path, segmenter):
    bag, out = tmp_path / "bag", tmp_path / "out.mcap"
    with Recording(bag) as recording:
        first = recording.topic("/front", IMAGE)
        second = recording.topic("/front", IMAGE, typestore=STORE, offered_qos_profiles=[RELIABLE])
        for index, image in enumerate(IMAGES):
            place = (first, second)[index % 2]
            recording.writer.write(place, index * 10**9, content(raw(index, image)))
    assert answer_bag(segmenter, bag, out, prompts=BOX).frames == 3
    assert messages(out)["/front"] == messages(bag)["/front"]
    with Reader(out) as reader:
        (copied,) = (c for c in reader.connections if c.topic == "/front")
    assert copied.ext.offered_qos_profiles == [RELIABLE]


def test_answers_of_before_are_replaced(tmp_path, segmenter, caplog):
    bag, first, second = record(tmp_path / "bag"), tmp_path / "first.mcap", tmp_path / "second.mcap"
    answer_bag(segmenter, bag, first, prompts=BOX)
    answer_bag(segmenter, first, second, prompts=BOX)
    assert {topic: len(found) for topic, found in messages(second).items()} == dict.fromkeys(
        ["/front", "/chatter", *ANSWERS], 3
    )
    for topic in ANSWERS:
        assert f"left out: {topic} (3 messages): earlier answers" in caplog.text
    with pytest.raises(BagError, match="is a topic of the answers"):
        answer_bag(segmenter, first, tmp_path / "third.mcap", LABEL_MAP)


def test_messages_that_are_not_of_ros_2_are_left_out(tmp_path, segmenter, caplog):
    bag, out = tmp_path / "bag", tmp_path / "out"
    with Recording(bag) as recording:
        recording.topic("/web", "Status", msgdef="{}", rihs01="x", serialization_format="json")
        recording.bytes("/web", 0, b"{}")
        recording.put("/front", 0, raw(0, IMAGES[0]))
    answer_bag(segmenter, file_of(bag), out, prompts=BOX)
    assert "left out: /web (1 messages): serialized as 'json'" in caplog.text
    assert sorted(messages(out)) == ["/front", *ANSWERS]


def test_a_damaged_image_is_copied_and_has_no_masks(tmp_path, segmenter, caplog):
    bag, out = tmp_path / "bag", tmp_path / "out.mcap"
    with Recording(bag) as recording:
        for index, image in enumerate([*IMAGES, *IMAGES]):
            recording.put("/front", index, compressed(index, image, ".jpg", 0.5 if index == 2 else 1.0))
    done = answer_bag(segmenter, bag, out, prompts=BOX)
    assert (done.frames, done.damaged) == (5, 1)
    assert "message 2" in caplog.text and "expected a complete JPEG" in caplog.text
    after = messages(out)
    assert after["/front"] == messages(bag)["/front"]
    assert [time // 10**9 for time, _ in after[LABEL_MAP]] == [0, 1, 3, 4, 5]


def test_a_bag_with_only_damaged_images_leaves_no_output(tmp_path, segmenter):
    bag, out = tmp_path / "bag", tmp_path / "out.mcap"
    with Recording(bag) as recording:
        recording.topic("/front", IMAGE)
        recording.bytes("/front", 0, b"\0\1\0\0" + b"\1" * 40)
    with pytest.raises(BagError, match="has no image on /front that can be decoded"):
        answer_bag(segmenter, bag, out, prompts=BOX)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bag"]


def test_a_prompt_outside_the_first_frame_is_an_error(tmp_path, segmenter):
    bag = record(tmp_path / "bag")
    with pytest.raises(PromptError, match=r"point \(9, 3\) is outside the image of 8x6"):
        answer_bag(segmenter, bag, tmp_path / "out.mcap", prompts={1: Prompt(points=[(9, 3)])})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bag"]


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("bag", "exists already"),
        ("out.bag", "has the ending '.bag', which is not written"),
        ("nowhere/out.mcap", "there is no folder"),
    ],
)
def test_where_the_copy_cannot_be(tmp_path, segmenter, out, words):
    record(tmp_path / "bag")
    with pytest.raises(BagError, match=words):
        answer_bag(segmenter, tmp_path / "bag", tmp_path / out)


def test_a_full_disk_is_found_before_it_is_full(tmp_path, segmenter, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage._replace(free=100))
    with pytest.raises(BagError, match="does not fit on the disk"):
        answer_bag(segmenter, record(tmp_path / "bag"), tmp_path / "out.mcap", prompts=BOX)


def test_any_name_will_do_for_the_copy(tmp_path, segmenter):
    folder = tmp_path / "50%20?#"
    folder.mkdir()
    answer_bag(segmenter, record(tmp_path / "bag"), folder / "a:b%20.db3", prompts=BOX)
    assert [path.name for path in folder.iterdir()] == ["a:b%20.db3"]


def test_the_recorders_qos_is_kept(tmp_path, segmenter):
    bag, out = tmp_path / "bag", tmp_path / "out"
    with Recording(bag) as recording:
        recording.writer.set_custom_data("driver", "Ada")
        recording.put("/front", 0, raw(0, IMAGES[0]))
    answer_bag(segmenter, bag, out, prompts=BOX)
    assert "driver: Ada" in (out / "metadata.yaml").read_text()
