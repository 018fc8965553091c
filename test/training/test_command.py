# SPDX-License-Identifier: Apache-2.0
"""Whatever a training command meets is one line on stderr, and an input is never written over."""

from __future__ import annotations

import json
import math

import cv2
import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from training import ablate, average, compare, evaluate, heads, pack, precompute, throughput, train
from training.command import run_command
from training.records import DataError

RECIPE = {"model": "lite_sam", "stages": [{"size": 64, "steps": 1, "batch": 1, "lr": 0.001}]}


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Make the current folder one with a data set, a recipe, a comparison and two checkpoints."""
    monkeypatch.chdir(tmp_path)
    for part in ("images", "annotations"):
        (tmp_path / "data" / part).mkdir(parents=True)
    cv2.imwrite("data/images/a.png", np.zeros((64, 64, 3), np.uint8))
    mask = [[8, 8, 40, 8, 40, 40, 8, 40]]
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "segmentation": mask}
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 64, "width": 64}],
        "annotations": [{**annotation, "area": 1024, "bbox": [8, 8, 32, 32]}],
        "categories": [{"id": 1, "name": "thing"}],
    }
    (tmp_path / "data" / "annotations" / "my_train.json").write_text(json.dumps(content))
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    (tmp_path / "list.yaml").write_text("- 1\n")
    (tmp_path / "latin.yaml").write_bytes(b"seed: 0 # caf\xe9\n")
    (tmp_path / "deep.yaml").write_text("[" * 3000)
    comparison = {"recipe": "recipe.yaml", "variants": {"a": {}}, "measure": {"files": ["my_train"]}}
    (tmp_path / "comparison.yaml").write_text(yaml.safe_dump(comparison))
    (tmp_path / "of_list.yaml").write_text(yaml.safe_dump({**comparison, "recipe": "list.yaml"}))
    (tmp_path / "file").touch()
    save_file({"w": torch.zeros(2)}, "a.safetensors")
    save_file({"w": torch.ones(2)}, "b.safetensors")
    return tmp_path


DATA = ["--data", "data"]
AVERAGE = ["a.safetensors", "b.safetensors", "--out"]
WRONG = [
    (train, ["recipe.yaml", *DATA, "--out", "file"], "file"),
    (train, ["latin.yaml", *DATA, "--out", "out"], "recipe latin.yaml cannot be read"),
    (train, ["deep.yaml", *DATA, "--out", "out"], "recipe deep.yaml cannot be read"),
    (train, ["list.yaml", *DATA, "--out", "out"], "recipe list.yaml"),
    (compare, ["of_list.yaml", *DATA, "--out", "out"], "comparison of_list.yaml"),
    (ablate, ["of_list.yaml", *DATA, "--out", "out", "--steps", "1"], "comparison of_list.yaml"),
    (ablate, ["comparison.yaml", *DATA, "--out", "/proc/x", "--steps", "1"], "/proc/x"),
    (pack, [*DATA, "--out", "data"], "its images are the input, which is never written over"),
    (pack, [*DATA, "--out", "/proc/x"], "/proc/x"),
    (
        precompute,
        ["--teacher", "lite_sam:a.safetensors", *DATA, "--out", "out"],
        "is not one of lite_sam",
    ),
    (precompute, ["--teacher", "sam:nowhere", *DATA, "--out", "out"], "nowhere: expected a folder with SAM"),
    (average, [*AVERAGE, "a.safetensors"], "--out a.safetensors is the input"),
    (average, [*AVERAGE, "/proc/x/y"], "/proc/x"),
    (average, [*AVERAGE, "out.safetensors", "--share", "nan"], "the share is nan; expected 0 to 1"),
    (heads, ["--sam", "nowhere", "--model", "lite_sam", "--out", "o.safetensors"], "nowhere"),
    (throughput, ["--json", "nowhere/x.json"], "there is no folder nowhere"),
    (
        evaluate,
        ["boxes", *DATA, "--on", "my_train", "--baselines", "--json", "data/annotations/my_train.json"],
        "is a file of the input data",
    ),
    (evaluate, ["boxes", *DATA, "--on", "my_train", "--json", "/proc/x"], "/proc/x cannot be written"),
]


@pytest.mark.parametrize(("module", "words", "text"), WRONG)
def test_it_is_one_line_and_no_file_is_changed(data, capsys, module, words, text):
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    assert module.main(words) in (1, 2)
    lines = capsys.readouterr().err.strip().splitlines()
    program = module.__name__.removeprefix("training.")
    assert lines[-1].startswith(f"{program}: ") and text in lines[-1], lines
    assert "Traceback" not in "".join(lines) and "shows where" not in lines[-1]
    assert {path: path.read_bytes() for path in before} == before


def test_a_pack_beside_its_input_leaves_it_as_it_is(data):
    before = (data / "data" / "images" / "a.png").read_bytes()
    assert pack.main([*DATA, "--out", "small", "--size", "32"]) == 0
    assert (data / "data" / "images" / "a.png").read_bytes() == before
    assert cv2.imread("small/images/a.png").shape == (32, 32, 3)


def test_the_mean_of_two_checkpoints_is_written_beside_them(data):
    assert average.main([*AVERAGE, "mean.safetensors", "--share", "0.25"]) == 0
    assert load_file("mean.safetensors")["w"].tolist() == [0.25, 0.25]


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "1e9"])
def test_a_time_that_would_not_end_is_rejected(seconds, capsys):
    with pytest.raises(SystemExit) as ended:
        throughput.main(["--seconds", seconds])
    assert ended.value.code == 2 and "expected 0 to 3600 seconds" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("an option"), 2),
        (DataError("no image"), 1),
        (OSError(28, "No space left on device"), 1),
        (FloatingPointError("the loss is nan"), 1),
        (KeyboardInterrupt(), 1),
        (MemoryError(), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_exit_code_tells_options_from_data(error, code, capsys, monkeypatch):
    def fails() -> int:
        raise error

    assert run_command("train", fails) == code
    printed = capsys.readouterr().err
    assert printed.startswith("train: ") and len(printed.splitlines()) == 1
    monkeypatch.setenv("EVITSAM_DEBUG", "1")
    assert run_command("train", fails) == code and "Traceback" in capsys.readouterr().err


def test_parts_keep_two_images_whose_names_differ_in_their_ending(data):
    from training.annotations import read_annotations
    from training.pack_parts import Part

    cv2.imwrite("data/images/a.jpg", np.full((64, 64, 3), 200, np.uint8))
    content = json.loads((data / "data/annotations/my_train.json").read_text())
    content["images"].append({**content["images"][0], "id": 2, "file_name": "a.jpg"})
    content["annotations"].append({**content["annotations"][0], "id": 2, "image_id": 2})
    (data / "data/annotations/my_train.json").write_text(json.dumps(content))
    records = read_annotations(data / "data/annotations/my_train.json", data / "data/images")
    part = Part(data / "part0", 0)
    for record in records:
        part.add(record, 64, 90)
    assert part.close() == 2
    packed = read_annotations(data / "part0/annotations/my_train0.json", data / "part0/images")
    means = [float(record.read_image().mean()) for record in packed]
    assert math.isclose(means[0], 0, abs_tol=3) and math.isclose(means[1], 200, abs_tol=3)
