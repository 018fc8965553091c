# SPDX-License-Identifier: Apache-2.0
"""Segmentation in the Wild: two small data sets in its layout, scored as pycocotools scores each."""

import json

import pytest

from evitsam_ros.segment import Segmenter
from training.evaluate import main
from training.evaluation.detections import average_precision
from training.evaluation.wild import NAMES

from ..masks import rectangle
from .instances_file import write_images


@pytest.fixture
def wild_data(tmp_path):
    """Two data sets, and boxes of a text-prompted detector: corners, class names, scores as text."""
    (boxes := tmp_path / "boxes").mkdir()
    for name, corners in (("Cows", (5, 5, 45, 45)), ("Poles", (10, 5, 60, 50))):
        (folder := tmp_path / "SGinW" / name / "valid").mkdir(parents=True)
        file = write_images(folder, {1: [rectangle(*corners)]})
        content = json.loads(file.read_text())
        content["categories"] = [{"id": c["id"], "name": name.lower()} for c in content["categories"]]
        (folder / "_annotations_min1cat.coco.json").write_text(json.dumps(content))
        file.unlink()
        found = [{"image": "1.png", "label": f"{name.lower()}(0.75)", "box": list(corners)}]
        (boxes / f"{name}.json").write_text(json.dumps(found))
    return tmp_path


def test_every_data_set_and_the_mean(wild_data, bundle_folder, tmp_path, capsys, caplog):
    report = tmp_path / "report.json"
    arguments = ["wild", "--model", str(bundle_folder), "--data", str(wild_data / "SGinW")]
    arguments += ["--detections", str(wild_data / "boxes"), "--json", str(report)]
    assert main(arguments) == 0
    table = json.loads(report.read_text())["SGinW"]
    assert list(table) == ["Cows", "Poles", "mean of 2 of 25"]
    segmenter = Segmenter.open(bundle_folder)
    for name in ("Cows", "Poles"):
        file = wild_data / "SGinW" / name / "valid" / "_annotations_min1cat.coco.json"
        alone = average_precision(segmenter, file, file.parent, wild_data / "boxes" / f"{name}.json", "coco")
        assert table[name]["AP"] == alone["AP"]
    assert table["mean of 2 of 25"]["AP"] == pytest.approx((table["Cows"]["AP"] + table["Poles"]["AP"]) / 2)
    assert "23 of 25 data sets are missing" in caplog.text


def test_class_names_are_written_as_prompts(wild_data, tmp_path):
    file = tmp_path / "prompts.json"
    assert main(["wild", "--data", str(wild_data / "SGinW"), "--write-prompts", str(file)]) == 0
    prompts = json.loads(file.read_text())
    assert prompts["Cows"]["caption"] == "cows ." and prompts["Poles"]["images"] == {"1": "1.png"}


def test_there_are_25_names():
    assert len(set(NAMES)) == 25


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--data", "/nowhere"), "/nowhere: expected NAME/valid/"),
        (("--data", "boxes"), "found none of these files"),
        (("--detections", "SGinW"), "2 are missing: Cows, Poles"),
    ],
)
def test_wrong_folders_are_one_line(wild_data, bundle_folder, change, message, capsys):
    folders = {"--data": wild_data / "SGinW", "--detections": wild_data / "boxes"}
    folders[change[0]] = wild_data / change[1]
    arguments = [word for name, path in folders.items() for word in (name, str(path))]
    assert main(["wild", "--model", str(bundle_folder), *arguments]) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("evaluate:")]
    assert len(errors) == 1 and message in errors[0]
