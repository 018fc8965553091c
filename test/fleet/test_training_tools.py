# SPDX-License-Identifier: Apache-2.0
"""Evaluation and embeddings over workers: the numbers and the files of one process."""

from __future__ import annotations

import json

import pytest

from test.training.drawn_shapes import write_data
from test.training.sa1b_data import published, write_shard

pytest.importorskip("lightning_fabric", reason="training is not installed")

import torch

from training import evaluate, precompute
from training.checkpoint import save_weights
from training.embedding_shards import ShardEmbeddings


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Six images of shapes in which everything has a mask."""
    folder = tmp_path_factory.mktemp("data")
    write_data(folder, "shapes_val", 6, seed=1)
    file = folder / "annotations" / "shapes_val.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "info": {"exhaustive": True}}))
    return folder


@pytest.mark.parametrize("job", ["boxes", "everything"])
def test_scores_over_workers_are_those_of_one_process(job, data, colour, cluster, tmp_path):
    more = {
        "boxes": ("--clicks", "1", "2", "--baselines", "box filled"),
        "everything": ("--max-prompts", "8"),
    }
    words = [
        job,
        "--model",
        str(colour),
        "--backend",
        "onnxruntime",
        "--data",
        str(data),
        "--on",
        "shapes_val",
    ]
    words += more[job]
    alone, spread = tmp_path / "alone.json", tmp_path / "spread.json"
    assert evaluate.main([*words, "--json", str(alone)]) == 0
    assert evaluate.main([*words, "--json", str(spread), "--ray", cluster.address]) == 0
    assert spread.read_text() == alone.read_text()
    assert json.loads(alone.read_text())["shapes_val"]


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    root = tmp_path_factory.mktemp("shards")
    for shard in range(3):
        records = [published(number)[:3] for number in range(2 * shard, 2 * shard + 2)]
        records = [(name, b"damaged" if name == "sa_5" else jpeg, content) for name, jpeg, content in records]
        write_shard(root / f"sa_{shard:06}.tar", records)
    return root


def test_embeddings_over_workers_are_those_of_one_process(shards, cluster, tmp_path, capsys):
    from evitsam_ros.models import create_model

    torch.manual_seed(0)
    save_weights(create_model("lite_sam").state_dict(), tmp_path / "teacher.safetensors")
    words = ["--teacher", f"lite_sam:{tmp_path / 'teacher.safetensors'}", "--kind", "sa1b_tar"]
    words += ["--data", str(shards), "--size", "64"]
    torch.set_num_threads(1)
    assert precompute.main([*words, "--out", str(tmp_path / "one")]) == 0
    assert "5 images in 3 shards" in capsys.readouterr().out
    assert precompute.main([*words, "--out", str(tmp_path / "two"), "--ray", cluster.address]) == 0
    for file in (tmp_path / "one").glob("*.json"):
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()
    one, two = ShardEmbeddings(tmp_path / "one"), ShardEmbeddings(tmp_path / "two")
    assert len(one) == len(two) == 5
    assert all(torch.equal(one.read(f"sa_{n}"), two.read(f"sa_{n}")) for n in range(5))
