# SPDX-License-Identifier: Apache-2.0
"""Data in parts and trainings by the clock, for machines that are there for minutes."""

import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
import yaml
from pycocotools import mask as codec
from safetensors.torch import load_file

from training.annotations import read_folder
from training.pack_parts import main, sample_records
from training.recipe import Recipe
from training.records import Record
from training.timed import scaled, work

from ..conftest import ROOT

RECIPE = {
    "task": "sam",
    "model": "lite_sam",
    "data": {"train": ["shapes_train*"], "source_weights": {"shapes": 1.0}},
    "precision": "32-true",
    "stages": [
        {"size": 64, "batch": 2, "prompts": 2, "steps": 40, "lr": 1e-3, "warmup": 20},
        {"size": 96, "batch": 2, "prompts": 2, "steps": 20, "lr": 1e-3},
    ],
}


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(RECIPE))
    return path


def test_parts_have_all_images_once_and_fit_over_one_another(shapes_data, recipe, tmp_path):
    complete = {record.name: record for record in read_folder(shapes_data, ["shapes_train"])}
    arguments = ["--data", str(shapes_data), "--recipe", str(recipe), "--out", str(tmp_path / "parts")]
    assert main([*arguments, "--parts", "2", "--mib", "0.215", "--size", "48"]) == 0
    merge_changes, sizes = tmp_path / "merged", []
    for part in sorted((tmp_path / "parts").iterdir()):
        files = [path for path in part.rglob("*") if path.is_file()]
        sizes.append(sum(path.stat().st_size for path in files))
        for path in files:
            target = merge_changes / path.relative_to(part)
            assert not target.exists(), "parts do not overwrite one another"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    assert len(sizes) == 2 and max(sizes) < 0.215 * 2**20
    records = read_folder(merge_changes, ["shapes_train*"])
    names = [record.name.replace(".webp", "") for record in records]
    assert len(set(names)) == len(names) > 2
    for record in records:
        assert record.source == "shapes" and max(record.height, record.width) <= 48
        assert record.read_image().shape[:2] == (record.height, record.width)
        original = next(each for name, each in complete.items() if name.rsplit(".", 1)[0] == record.name[:-5])
        mask, large = record.read_mask(0), codec.decode(original.rles[0])
        small = cv2.resize(large, mask.shape[::-1], interpolation=cv2.INTER_AREA)
        if len(record.rles) == len(original.rles):
            assert np.mean((mask > 0) != (small > 0)) < 0.1


def test_sources_are_drawn_by_weight_and_root_of_their_size():
    def records(source: str, count: int) -> list[Record]:
        empty = np.zeros((0, 4), np.float32)
        return [Record(f"{source}{i}", ROOT, source, 8, 8, [], empty, np.zeros(0, int)) for i in range(count)]

    order = list(sample_records([*records("a", 10_000), *records("b", 2_500)], {"b": 4.0}, seed=1))
    assert len({record.name for record in order}) == 12_500
    # b has half the root of a's size and four times its weight: two thirds, while there are any.
    share = np.mean([record.source == "b" for record in order[:3000]])
    assert share == pytest.approx(2 / 3, abs=0.04)


def test_steps_are_scaled_to_the_time_in_proportion():
    recipe = Recipe.model_validate(RECIPE)
    small, large = recipe.stages
    speed = 1e-6
    complete = speed * (40 * work(small) + 20 * work(large))
    stages = scaled(recipe, speed, 10 * complete).stages
    assert [stage.steps for stage in stages] == [pytest.approx(400, abs=1), pytest.approx(200, abs=1)]
    assert scaled(recipe, speed, complete / 2).stages[0].warmup == 5
    with pytest.raises(ValueError, match="too short"):
        scaled(recipe, speed, complete / 100)
    epochs = {**RECIPE, "stages": [{"size": 64, "epochs": 1, "lr": 1e-3}]}
    with pytest.raises(ValueError, match="not with epochs"):
        scaled(Recipe.model_validate(epochs), speed, 10.0)


def test_the_script_trains_from_parts_and_leaves_pieces(shapes_data, recipe, tmp_path):
    parts, out = tmp_path / "parts", tmp_path / "out"
    arguments = ["--data", str(shapes_data), "--recipe", str(recipe), "--out", str(parts)]
    assert main([*arguments, "--parts", "1", "--mib", "1", "--size", "64"]) == 0
    environment = os.environ | {"PYTHON": sys.executable, "WORKERS": "0"}
    environment["OMP_NUM_THREADS"] = "1"
    # Some steps of each stage, also on a machine that is ten times as slow.
    command = [ROOT / "tools" / "gpu" / "train.sh", recipe, parts, out, "0.6"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("model.safetensors", "progress.pt"):
        pieces = sorted(out.glob(f"{name}.*"))
        assert pieces and max(piece.stat().st_size for piece in pieces) <= 8 * 2**20
        (tmp_path / name).write_bytes(b"".join(piece.read_bytes() for piece in pieces))
    weights = load_file(tmp_path / "model.safetensors")
    assert weights["mask_decoder.iou_token.weight"].dtype.itemsize == 2
    log = (out / "log.csv").read_text().splitlines()
    assert len(log) >= 2
    assert json.loads(json.dumps(log[0].split(",")))[:2] == ["step", "size"]
