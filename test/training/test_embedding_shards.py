# SPDX-License-Identifier: Apache-2.0
"""Embeddings of tar shards as shards: their values, their error, and that what is done is kept."""

from __future__ import annotations

import io
import json
import re
import tarfile

import cv2
import numpy as np
import pytest
import torch
import webdataset as wds
from safetensors.torch import load

from training.dataset import Batch
from training.embedding_shards import FLOAT16, INT8, ShardEmbeddings, pack, quantise, write_shard
from training.precompute import ShardJob, precompute_shard
from training.recipe import Teacher
from training.records import Skipped
from training.sa1b import Shards
from training.teachers import FileTeacher, TeacherModel


def embeddings(count: int):
    generator = torch.Generator().manual_seed(0)
    return [(f"sa_{n}", torch.randn(8, 4, 4, generator=generator) * (n + 1)) for n in range(count)]


@pytest.mark.parametrize("kind", [FLOAT16, INT8])
def test_embeddings_are_read_within_the_stated_error(kind, tmp_path):
    given = embeddings(5)
    index = write_shard(tmp_path, tmp_path / "sa_000000.tar", given, kind)
    found = ShardEmbeddings(tmp_path)
    errors = []
    for name, value in given:
        read = found.read(name)
        errors.append(float((read - value).norm() / value.norm()))
        step = value.abs().amax((1, 2), keepdim=True) / 127 if kind == INT8 else value.abs() / 1024 + 1e-6
        assert ((read - value).abs() <= step / 2 * 1.001).all()
    assert index["relative_error"]["max"] == pytest.approx(max(errors), rel=1e-3)
    assert index["relative_error"]["mean"] == pytest.approx(sum(errors) / 5, rel=1e-3)
    assert (tmp_path / "sa_000000.embeddings.tar").stat().st_size < 5 * (8 * 4 * 4 * 4 + 2048) + 20480


def test_int8_needs_half_the_size_of_float16():
    value = torch.randn(256, 64, 64)
    sizes = {kind: len(pack(value, kind)[0]) for kind in (FLOAT16, INT8)}
    assert 0.5 <= sizes[INT8] / sizes[FLOAT16] < 0.51
    values, scale = quantise(value)
    assert values.dtype == torch.int8 and scale.shape == (256, 1, 1)


def test_other_readers_read_the_shards_as_webdatasets(tmp_path):
    given = embeddings(3)
    write_shard(tmp_path, tmp_path / "a.tar", given, FLOAT16)
    samples = list(wds.WebDataset(str(tmp_path / "a.embeddings.tar"), shardshuffle=False))
    assert [sample["__key__"] for sample in samples] == ["sa_0", "sa_1", "sa_2"]
    assert torch.equal(load(samples[2]["safetensors"])["embedding"], given[2][1].half())


class Mean(TeacherModel):
    """A teacher that counts its images; its embedding is their mean colour."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.seen = 0

    def embed(self, batch: Batch):
        self.seen += len(batch.image)
        return batch.image.float().mean((1, 2)).reshape(-1, 3, 1, 1) * self.weight


def test_a_shard_that_is_done_is_kept_and_a_student_finds_its_images(shards, tmp_path):
    teacher, out = Mean(), tmp_path / "out"
    out.mkdir()
    files = Shards(shards).files
    for file in files:
        precompute_shard(teacher, shards / file, 64, out, FLOAT16, Skipped())
    seen = teacher.seen
    assert seen >= 8
    job = ShardJob(Teacher(kind="model", model="lite_sam", path="x"), 64, out, FLOAT16)
    index = job.run(teacher, shards / files[0], Skipped())
    assert teacher.seen == seen and index["images"] == 4
    # A shard that was cut off while it was written has no index and is done again.
    (out / "sa_000000.embeddings.json").unlink()
    (out / "sa_000000.embeddings.tar").write_bytes(b"half")
    job.run(teacher, shards / files[0], Skipped())
    assert teacher.seen == seen + 4
    empty = torch.zeros(0)
    batch = Batch(torch.zeros(2, 1, 1, 3), *[empty] * 7, names=["sa_0", "sa_3"], skipped=[])
    found = FileTeacher(out).embed(batch)
    assert found.shape == (2, 3, 1, 1) and not torch.equal(found[0], found[1])


def test_shards_of_embeddings_beside_the_images_are_no_images(shards):
    before = Shards(shards).files
    path = shards / "sa_000000.embeddings.tar"
    with tarfile.open(path, "w"):
        pass
    try:
        assert Shards(shards).files == before
    finally:
        path.unlink()


def test_a_damaged_index_is_named(tmp_path):
    (tmp_path / "a.embeddings.json").write_text(json.dumps({"places": 3}))
    with pytest.raises(ValueError, match=r"a\.embeddings\.json is damaged"):
        ShardEmbeddings(tmp_path)


def cut(file) -> None:
    file.write_bytes(file.read_bytes()[:3000])


def swap(file) -> None:
    """Let two names of the index point to each other's embedding, as an index of another order does."""
    index = file.with_name("sa_000000.embeddings.json")
    content = json.loads(index.read_text())
    content["places"]["sa_0"], content["places"]["sa_4"] = (
        content["places"]["sa_4"],
        content["places"]["sa_0"],
    )
    index.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (cut, "cannot be read"),
        (lambda file: file.unlink(), "No such file"),
        (lambda file: file.write_bytes(bytes(20_000)), "cannot be read"),
        (swap, r"sa_0\.safetensors is at the place of sa_4"),
    ],
    ids=["cut", "gone", "zeros", "swapped"],
)
def test_a_shard_that_is_not_that_of_its_index_is_named_and_never_read_as_another_image(
    harm, words, tmp_path
):
    given = embeddings(5)
    write_shard(tmp_path, tmp_path / "sa_000000.tar", given, FLOAT16)
    harm(tmp_path / "sa_000000.embeddings.tar")
    found = ShardEmbeddings(tmp_path)
    with pytest.raises(ValueError, match=r"sa_000000\.embeddings\.tar: the embedding of sa_4") as raised:
        found.read("sa_4")
    assert re.search(words, str(raised.value))


def test_of_two_images_of_one_name_in_a_shard_the_first_is_embedded(tmp_path):
    image = cv2.imencode(".jpg", np.zeros((32, 32, 3), np.uint8))[1].tobytes()
    mask = {"size": [32, 32], "counts": [0, 512, 512]}
    entry = {"image": {"height": 32, "width": 32}, "annotations": [{"id": 1, "segmentation": mask}]}
    with tarfile.open(tmp_path / "sa_000000.tar", "w") as tar:
        for name in ("sa_1", "sa_2", "sa_1"):
            for ending, data in ((".jpg", image), (".json", json.dumps(entry).encode())):
                member = tarfile.TarInfo(name + ending)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    skipped = Skipped()
    index = precompute_shard(Mean(), tmp_path / "sa_000000.tar", 32, tmp_path, FLOAT16, skipped)
    assert list(index["places"]) == ["sa_1", "sa_2"]
    assert skipped.counts == {"images of the same name": 1}
