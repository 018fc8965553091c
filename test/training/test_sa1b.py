# SPDX-License-Identifier: Apache-2.0
"""SA-1B as published, folders and tar shards, made here from shapes with known masks."""

import json

import numpy as np
import pytest
import torch

from training.dataset import SampleOptions, ShardSet, loader
from training.records import DataError, Skipped
from training.sa1b import Folder, Shards, record_from_json
from training.views import ViewOptions

from .sa1b_data import published, write_shard


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("sa1b")
    for number in range(6):
        name, jpeg, content, _ = published(number)
        (root / f"{name}.jpg").write_bytes(jpeg)
        (root / f"{name}.json").write_bytes(content)
    return root


def test_folder_reads_images_and_masks_on_access(folder):
    records = Folder(folder)
    assert len(records) == 6
    record = records[2]
    assert (record.name, record.height, record.width) == ("sa_2", 120, 160)
    assert record.read_image().shape == (120, 160, 3)
    for index, mask in enumerate(published(2)[3]):
        np.testing.assert_array_equal(record.read_mask(index), mask)
        rows, cols = np.nonzero(mask)
        expected = [cols.min(), rows.min(), cols.max() + 1, rows.max() + 1]
        np.testing.assert_array_equal(record.boxes[index], expected)


def test_files_that_are_not_annotations_are_named(folder, tmp_path):
    with pytest.raises(ValueError, match="sa_9: expected an SA-1B annotation"):
        record_from_json(b"[]", b"", "sa_9")
    content = json.loads(published(1)[2])
    content["image"]["width"] = 161
    with pytest.raises(ValueError, match=r"sa_1 annotation 0: a mask has the size \[120, 160\]"):
        record_from_json(json.dumps(content).encode(), b"", "sa_1")
    content["annotations"] = []
    with pytest.raises(ValueError, match="sa_1: holds no mask"):
        record_from_json(json.dumps(content).encode(), b"", "sa_1")
    with pytest.raises(ValueError, match="holds no SA-1B annotation"):
        Folder(tmp_path)
    with pytest.raises(ValueError, match="holds no tar shard"):
        Shards(tmp_path)


def names(shards, count: int, part: int = 0, parts: int = 1) -> tuple[list[str], Skipped]:
    skipped = Skipped()
    stream = Shards(shards).stream(1, part, parts, skipped)
    return [next(stream).name for _ in range(count)], skipped


def test_shards_are_read_in_full_and_damaged_entries_counted(shards):
    found, skipped = names(shards, 20)
    first_pass = set(found[:8])
    assert first_pass >= {"sa_0", "sa_1", "sa_2", "sa_3", "sa_4", "sa_7", "sa_8"}
    assert "sa_6" not in found
    assert skipped.counts["bad annotations"] >= 1 and skipped.counts["broken shards"] >= 1


def test_readers_share_the_shards(shards):
    parts = [set(names(shards, 2, part, 3)[0]) for part in range(3)]
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
    more = [set(names(shards, 1, part, 4)[0]) for part in range(4)]
    assert len(set.union(*more)) == 4


@pytest.mark.parametrize("workers", [0, 2])
def test_resumed_stream_is_the_rest_of_the_uncut_one(shards, workers):
    def batches(start: int, count: int) -> list:
        view = ViewOptions(96, zoom=(0.8, 1.4), flip=0.5)
        data = ShardSet(Shards(shards), view, SampleOptions(2), 2, seed=4, start=start, rank=0, ranks=1)
        stream = iter(loader(data, 2, start, 99, workers, 0, 1))
        return [next(stream) for _ in range(count)]

    complete, rest = batches(0, 6), batches(3, 3)
    for a, b in zip(complete[3:], rest, strict=True):
        assert a.names == b.names
        torch.testing.assert_close(a.image, b.image, rtol=0, atol=0)
        torch.testing.assert_close(a.points, b.points, rtol=0, atol=0)
    if not workers:
        assert any("damaged" not in n for b in complete for n in b.names)
        assert any("unusable records: sa_5" in line for b in complete for line in b.skipped)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_stream_is_the_same_with_fully_damaged_batches(tmp_path, workers):
    records = [published(number)[:3] for number in range(8)]
    for number in (1, 2, 3, 6):
        records[number] = (records[number][0], b"damaged", records[number][2])
    write_shard(tmp_path / "sa_0.tar", records)
    view = ViewOptions(96, zoom=(0.8, 1.4), flip=0.5)

    def batches(start: int, count: int) -> list:
        data = ShardSet(Shards(tmp_path), view, SampleOptions(2), 1, seed=4, start=start, rank=0, ranks=1)
        stream = iter(loader(data, 1, start, 99, workers, 0, 1))
        return [next(stream) for _ in range(count)]

    complete = batches(0, 8)
    if not workers:
        assert [complete[n].names for n in (0, 4, 5, 7)] == [["sa_0"], ["sa_4"], ["sa_5"], ["sa_7"]]
        assert any("unusable records: sa_1" in line for line in complete[1].skipped)
    assert not {name for batch in complete for name in batch.names} & {"sa_1", "sa_2", "sa_3", "sa_6"}
    for start in (3,) if workers else (1, 2, 3, 6):
        for a, b in zip(complete[start:], batches(start, 8 - start), strict=True):
            assert a.names == b.names
            torch.testing.assert_close(a.image, b.image, rtol=0, atol=0)
            torch.testing.assert_close(a.points, b.points, rtol=0, atol=0)


def test_shards_without_anything_usable_are_an_error_with_the_reason(tmp_path):
    write_shard(tmp_path / "sa_0.tar", [(name, jpeg, b"{}") for name, jpeg, *_ in map(published, range(3))])
    with pytest.raises(
        DataError, match=r"no shard holds a usable record; skipped: .* bad annotations \(sa_0"
    ):
        next(Shards(tmp_path).stream(0, 0, 2, Skipped()))
    records = [published(number)[:3] for number in range(3)]
    write_shard(tmp_path / "sa_0.tar", [(name, jpeg[:300], content) for name, jpeg, content in records])
    data = ShardSet(Shards(tmp_path), ViewOptions(96), SampleOptions(2), 2, seed=4, start=0, rank=0, ranks=1)
    with pytest.raises(DataError, match=r"without a mask in view: .*unusable records \(sa_0: .* is cut off"):
        next(iter(data))


def test_every_reader_gets_records_where_there_are_fewer_than_readers(tmp_path):
    write_shard(tmp_path / "sa_0.tar", [published(number)[:3] for number in range(2)])
    names = [next(Shards(tmp_path).stream(0, part, 4, Skipped())).name for part in range(4)]
    assert names[:2] == ["sa_0", "sa_1"] and set(names[2:]) <= {"sa_0", "sa_1"}
