# SPDX-License-Identifier: Apache-2.0
"""SA-1B as published, folders and tar shards, made here from shapes with known masks."""

import io
import json
import tarfile

import cv2
import numpy as np
import pytest
import torch
from pycocotools import mask as codec

from training.dataset import SampleOptions, ShardSet, loader
from training.records import DataError, Skipped
from training.sa1b import Folder, Shards, record_from_json
from training.views import ViewOptions

from .conftest import shapes


def published(number: int) -> tuple[str, bytes, bytes, list[np.ndarray]]:
    """Name, JPEG, JSON and masks of a made-up record in the published layout."""
    image, masks = shapes(np.random.default_rng(number), (120, 160))
    annotations = []
    for index, mask in enumerate(masks):
        rle = codec.encode(np.asfortranarray(mask))
        entry = {"bbox": codec.toBbox(rle).tolist(), "area": int(codec.area(rle)), "id": index}
        rle["counts"] = rle["counts"].decode()
        extra = {"predicted_iou": 0.9, "stability_score": 0.95, "crop_box": [0, 0, 160, 120]}
        annotations.append({**entry, **extra, "segmentation": rle, "point_coords": [[1.0, 2.0]]})
    name = f"sa_{number}"
    described = {"image_id": number, "width": 160, "height": 120, "file_name": f"{name}.jpg"}
    content = json.dumps({"image": described, "annotations": annotations}).encode()
    return name, cv2.imencode(".jpg", image)[1].tobytes(), content, masks


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("sa1b")
    for number in range(6):
        name, jpeg, content, _ = published(number)
        (root / f"{name}.jpg").write_bytes(jpeg)
        (root / f"{name}.json").write_bytes(content)
    return root


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Three shards of four records; one JPEG is damaged, one JSON too, and one shard breaks off."""
    root = tmp_path_factory.mktemp("shards")
    for shard in range(3):
        with tarfile.open(root / f"sa_{shard:06}.tar", "w") as tar:
            for number in range(4 * shard, 4 * shard + 4):
                name, jpeg, content, _ = published(number)
                if number == 5:
                    jpeg = b"damaged"
                if number == 6:
                    content = b"{}"
                for suffix, data in (("jpg", jpeg), ("json", content)):
                    info = tarfile.TarInfo(f"{name}.{suffix}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    last = root / "sa_000002.tar"
    last.write_bytes(last.read_bytes()[:-14000])
    return root


def test_folder_reads_pictures_and_masks_when_asked(folder):
    records = Folder(folder)
    assert len(records) == 6
    record = records[2]
    assert (record.name, record.height, record.width) == ("sa_2", 120, 160)
    assert record.read_image().shape == (120, 160, 3)
    for index, mask in enumerate(published(2)[3]):
        np.testing.assert_array_equal(record.read_mask(index), mask)
        rows, cols = np.nonzero(mask)
        wanted = [cols.min(), rows.min(), cols.max() + 1, rows.max() + 1]
        np.testing.assert_array_equal(record.boxes[index], wanted)


def test_what_is_no_annotation_is_named(folder, tmp_path):
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


def test_shards_are_walked_in_full_and_what_is_damaged_is_counted(shards):
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

    whole, rest = batches(0, 6), batches(3, 3)
    for a, b in zip(whole[3:], rest, strict=True):
        assert a.names == b.names
        torch.testing.assert_close(a.image, b.image, rtol=0, atol=0)
        torch.testing.assert_close(a.points, b.points, rtol=0, atol=0)
    if not workers:
        assert any("damaged" not in n for b in whole for n in b.names)
        assert any("unusable records: sa_5" in line for b in whole for line in b.skipped)


def write_shard(file, records: list[tuple[str, bytes, bytes]]) -> None:
    with tarfile.open(file, "w") as tar:
        for name, jpeg, content in records:
            for suffix, data in (("jpg", jpeg), ("json", content)):
                info = tarfile.TarInfo(f"{name}.{suffix}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_stream_is_the_same_where_whole_batches_are_damaged(tmp_path, workers):
    records = [published(number)[:3] for number in range(8)]
    for number in (1, 2, 3, 6):
        records[number] = (records[number][0], b"damaged", records[number][2])
    write_shard(tmp_path / "sa_0.tar", records)
    view = ViewOptions(96, zoom=(0.8, 1.4), flip=0.5)

    def batches(start: int, count: int) -> list:
        data = ShardSet(Shards(tmp_path), view, SampleOptions(2), 1, seed=4, start=start, rank=0, ranks=1)
        stream = iter(loader(data, 1, start, 99, workers, 0, 1))
        return [next(stream) for _ in range(count)]

    whole = batches(0, 8)
    if not workers:
        assert [whole[n].names for n in (0, 4, 5, 7)] == [["sa_0"], ["sa_4"], ["sa_5"], ["sa_7"]]
        assert any("unusable records: sa_1" in line for line in whole[1].skipped)
    assert not {name for batch in whole for name in batch.names} & {"sa_1", "sa_2", "sa_3", "sa_6"}
    for start in (3,) if workers else (1, 2, 3, 6):
        for a, b in zip(whole[start:], batches(start, 8 - start), strict=True):
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
