# SPDX-License-Identifier: Apache-2.0
"""Recordings that lost something are read as far as they go; what is lost is named."""

import shutil
import sqlite3

import numpy as np
import pytest
import yaml

from evitsam_ros.io.bags import BagError, is_bag, open_bag, read_frames
from evitsam_ros.io.bags.mcap_scan import McapScan, has_chunk_index

from .recordings import DB3, IMAGES, MCAP, Recording, compressed, file_of, messages, raw, record, text

#: Large enough that each takes a chunk of its own.
LARGE = [np.random.default_rng(i).integers(0, 255, (640, 640, 3), dtype=np.uint8) for i in range(5)]


def all_messages(path) -> dict[str, list[tuple[int, bytes]]]:
    found: dict[str, list[tuple[int, bytes]]] = {}
    with open_bag(path) as bag:
        for channel, time, data in bag.messages():
            found.setdefault(channel.topic, []).append((time, bytes(data)))
    return found


@pytest.mark.parametrize("compression", ["NONE", "STORAGE"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
@pytest.mark.parametrize("tail", [b"", b"\0" * 5000], ids=["cut", "zeros"])
def test_an_mcap_is_read_up_to_where_it_was_cut_off(tmp_path, compression, share, tail, caplog):
    complete = file_of(record(tmp_path / "bag", LARGE, compression=compression))
    data = complete.read_bytes()
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(data[: int(share * len(data))] + tail)
    found, expected = all_messages(cut), messages(complete)
    assert "was cut off: it is read up to there; to mend it: mcap recover" in caplog.text
    for topic in expected:
        assert found[topic] == expected[topic][: len(found[topic])]
    assert len(found["/front"]) >= int(share * len(LARGE)) - (compression != "NONE")


def test_a_scan_agrees_with_the_index(tmp_path):
    complete = file_of(record(tmp_path / "bag", LARGE, compression="STORAGE"))
    assert has_chunk_index(complete)
    scan = McapScan(complete)
    assert scan.closed and {channel.topic: channel.count for channel in scan.channels.values()} == {
        "/front": 5,
        "/chatter": 5,
    }
    found: dict[str, list[tuple[int, bytes]]] = {}
    for channel, time, data in scan.messages():
        found.setdefault(channel.topic, []).append((time, data))
    assert found == messages(complete)


def test_a_damaged_chunk_costs_its_own_messages(tmp_path, caplog):
    complete = file_of(record(tmp_path / "bag", LARGE, compression="STORAGE"))
    data = bytearray(complete.read_bytes())
    chunk = data.index(b"\x28\xb5\x2f\xfd", len(data) // 2)  # where zstd begins
    data[chunk : chunk + 100] = bytes(100)
    (tmp_path / "hurt.mcap").write_bytes(data)
    found, expected = all_messages(tmp_path / "hurt.mcap"), messages(complete)
    assert "is damaged" in caplog.text
    assert 3 <= len(found["/front"]) < 5 and set(found["/front"]) < set(expected["/front"])
    assert found["/front"][-1] == expected["/front"][-1], "what follows the damage is read"


def test_a_foreign_profile_does_not_matter(tmp_path):
    """Other programs write other profiles into the header of a good file."""
    complete = file_of(record(tmp_path / "bag"))
    foreign = tmp_path / "foreign.mcap"
    foreign.write_bytes(complete.read_bytes().replace(b"\4\0\0\0ros2", b"\4\0\0\0rosX", 1))
    assert all_messages(foreign) == messages(complete)


@pytest.mark.parametrize("content", [None, "", "{{{", "rosbag2_bagfile_information: 5"])
@pytest.mark.parametrize("compression", ["NONE", "FILE"])
def test_metadata_may_be_missing_or_broken(tmp_path, content, compression, caplog):
    bag = record(tmp_path / "bag", compression=compression)
    if content is None:
        (bag / "metadata.yaml").unlink()
    else:
        (bag / "metadata.yaml").write_text(content)
    assert is_bag(bag) and len(list(read_frames(bag))) == 3
    assert "has no usable metadata.yaml" in caplog.text


@pytest.mark.parametrize("compression", ["FILE", "MESSAGE"])
def test_a_single_file_of_a_compressed_bag_can_be_read(tmp_path, compression):
    file = file_of(record(tmp_path / "bag", compression=compression))
    assert is_bag(file) and len(list(read_frames(file))) == 3


def test_split_files_are_read_in_the_order_of_their_numbers(tmp_path, caplog):
    split = tmp_path / "split"
    split.mkdir()
    for number, image in zip((1, 2, 10), IMAGES, strict=True):
        with Recording(tmp_path / "part") as recording:
            recording.put("/front", number, raw(number, image))
        shutil.move(file_of(tmp_path / "part"), split / f"part_{number}.mcap")
        shutil.rmtree(tmp_path / "part")
    assert [frame.stamp for frame in read_frames(split)] == [1.5, 2.5, 10.5]
    (split / "part_11.mcap").touch()
    assert len(list(read_frames(split))) == 3
    assert "left out: bag" in caplog.text and "part_11.mcap cannot be read" in caplog.text


def test_a_split_file_that_is_missing_is_named(tmp_path, caplog):
    bag = record(tmp_path / "bag")
    listed = (bag / "metadata.yaml").read_text()
    (bag / "metadata.yaml").write_text(listed.replace("- bag.mcap\n", "- bag.mcap\n  - gone.mcap\n", 1))
    assert len(list(read_frames(bag))) == 3
    assert "gone.mcap, which the bag's metadata.yaml lists, is missing" in caplog.text


def test_the_journal_of_a_killed_recorder_is_read(tmp_path):
    file = file_of(record(tmp_path / "bag", plugin=DB3))
    database = sqlite3.connect(file)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA wal_autocheckpoint=0")
    database.execute(
        "INSERT INTO messages(topic_id, timestamp, data) "
        "SELECT topic_id, timestamp + 9000000000, data FROM messages"
    )
    database.commit()
    left = tmp_path / "left.db3"
    shutil.copy(file, left)
    shutil.copy(f"{file}-wal", f"{left}-wal")
    database.close()
    before = left.read_bytes()
    assert len(list(read_frames(left))) == 6
    assert left.read_bytes() == before, "the recording itself stays as it is"


def test_a_definition_that_the_recorder_did_not_find_does_not_matter(tmp_path):
    """ros2 bag writes the encoding 'unknown' for it."""
    file = file_of(record(tmp_path / "bag", plugin=DB3))
    expected = messages(file)
    with sqlite3.connect(file) as database:
        database.execute(
            "UPDATE message_definitions SET encoding = 'unknown', encoded_message_definition = '' "
            "WHERE topic_type = 'std_msgs/msg/String'"
        )
    database.close()
    assert all_messages(file) == expected
    with open_bag(file) as bag:
        definitions = {channel.topic: channel.definition for channel in bag.channels}
    assert definitions["/chatter"] is None and "uint32 height" in definitions["/front"]


def test_damaged_images_are_left_out_by_their_number(tmp_path, caplog):
    with Recording(tmp_path / "bag", MCAP) as recording:
        for index, image in enumerate(IMAGES):
            message = raw(index, image)
            message.step = 1 if index == 1 else message.step
            recording.put("/front", index, message)
        recording.bytes("/front", 3, b"\0\1\0\0" + b"\1" * 40)
        recording.put("/chatter", 0, text("hello"))
    assert [frame.stamp for frame in read_frames(tmp_path / "bag")] == [0.5, 2.5]
    assert "message 1: step is 1" in caplog.text
    assert "message 3: the message cannot be read" in caplog.text


def test_a_record_that_claims_more_than_memory_is_cut_off(tmp_path):
    path = tmp_path / "huge.mcap"
    path.write_bytes(b"\x89MCAP0\r\n" + b"\x01" + (2**61).to_bytes(8, "little") + b"nothing")
    with pytest.raises(BagError, match=r"huge\.mcap"), open_bag(path):
        pass


def test_a_compressed_file_that_was_cut_off_is_read_up_to_there(tmp_path, caplog):
    bag = record(tmp_path / "bag", LARGE, compression="FILE")
    file = file_of(bag)
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    stamps = [frame.stamp for frame in read_frames(bag, "/front")]
    assert "is cut off or damaged" in caplog.text
    assert 1 <= len(stamps) < len(LARGE) and stamps == [0.5 + n for n in range(len(stamps))]


@pytest.mark.parametrize(
    "entries",
    [
        {"relative_file_paths": "bag.mcap"},
        {"relative_file_paths": [5]},
        {"relative_file_paths": ["../../bag.mcap"]},
        {"relative_file_paths": ["bag.mcap", "bag.mcap"]},
        {"custom_data": ["x"]},
        {"topics_with_message_count": 7},
        {"topics_with_message_count": [{"topic_metadata": "x"}]},
    ],
    ids=str,
)
def test_metadata_with_entries_of_other_types_costs_nothing(tmp_path, entries):
    bag = record(tmp_path / "bag")
    path = bag / "metadata.yaml"
    found = yaml.safe_load(path.read_text())
    found["rosbag2_bagfile_information"] |= entries
    path.write_text(yaml.safe_dump(found))
    assert len(list(read_frames(bag))) == 3


def test_metadata_that_is_nested_too_deeply_is_none(tmp_path, caplog):
    bag = record(tmp_path / "bag")
    (bag / "metadata.yaml").write_text("[" * 3000)
    assert len(list(read_frames(bag))) == 3 and "has no usable metadata.yaml" in caplog.text


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE messages SET data = 'words' WHERE id = 3",
        "UPDATE messages SET data = 12345678901234 WHERE id = 3",
        "UPDATE messages SET timestamp = 'x' WHERE id = 3",
    ],
)
def test_a_row_of_another_type_costs_itself_alone(tmp_path, change, caplog):
    bag = record(tmp_path / "bag", plugin=DB3)
    with sqlite3.connect(file_of(bag)) as database:
        database.execute(change)
    assert [frame.stamp for frame in read_frames(bag)] == [0.5, 2.5]
    assert "left out: 1 rows of" in caplog.text


def test_times_that_no_bag_can_have_are_moved_and_named(tmp_path, caplog):
    bag = record(tmp_path / "bag", plugin=DB3)
    with sqlite3.connect(file_of(bag)) as database:
        database.execute("UPDATE messages SET timestamp = -5 WHERE id = 1")
    times = [time for time, _ in all_messages(bag)["/front"]]
    assert times == [0, 10**9, 2 * 10**9] and "1 messages have times that a bag cannot have" in caplog.text


def test_of_a_topic_with_two_types_of_images_the_larger_part_is_read_and_the_other_named(tmp_path, caplog):
    path = tmp_path / "bag"
    with Recording(path) as bag:
        bag.put("/front", 0, raw(0, IMAGES[0]))
        bag.places.clear()
        for index in (1, 2):
            bag.put("/front", index, compressed(index, IMAGES[index]))
    assert [frame.stamp for frame in read_frames(path)] == [1.5, 2.5]
    assert (
        "/front has messages of two types: 2 of sensor_msgs/msg/CompressedImage are read, 1 of" in caplog.text
    )
