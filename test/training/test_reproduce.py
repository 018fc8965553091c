# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/reproduce.md: all are parsed, and run on data made here with two steps or two images.

Not run here are those that other modules run in small: ablations (test_ablate), comparisons (test_compare),
throughput (test_throughput), figure 1 (test_everything_plot), heads (test_tasks), label maps and
super-resolution (test_dense_training), and the ``evitsam`` commands (test/cli, test/profiler).
"""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import yaml

from evitsam_ros.cli.program import build_parser
from evitsam_ros.models import SPECS
from test.conftest import ROOT
from training import ablate, evaluate, evaluate_dense, everything_plot, throughput, train
from training.compare import read_comparison
from training.recipe import read_recipe

from .dense_data import stripes, write, write_cityscapes
from .evaluation.instances_file import write_images
from .masks import rectangle

PAGE = (ROOT / "docs" / "reproduce.md").read_text()
BLOCKS = re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = list(dict.fromkeys(line for block in BLOCKS for line in block.splitlines()))
PARSERS = {
    "training.ablate": ablate.parser,
    "training.evaluate": evaluate.parser,
    "training.evaluate_dense": evaluate_dense.parser,
    "training.everything_plot": everything_plot.parser,
    "training.throughput": throughput.parser,
}


def words_of(program: str) -> list[list[str]]:
    """The arguments of every command of a program."""
    start = f"python -m {program} "
    return [shlex.split(line[len(start) :]) for line in COMMANDS if line.startswith(start)]


def test_every_line_is_a_command_that_is_known():
    known = [*PARSERS, "training.train", "training.compare", "training.heads"]
    for line in COMMANDS:
        assert line.startswith("evitsam ") or line.split()[2] in known, line
    assert len(COMMANDS) > 25


@pytest.mark.parametrize("program", PARSERS)
def test_arguments_are_those_of_the_program(program):
    commands = words_of(program)
    assert commands
    for words in commands:
        options = PARSERS[program]().parse_args(words)
        if program == "training.ablate":
            assert len(read_comparison(ablate.find_table(options.table))[1]) > 7
        if program == "training.evaluate" and options.model:
            assert options.model in SPECS


def test_arguments_of_evitsam_are_its_own():
    lines = [line for line in COMMANDS if line.startswith("evitsam ")]
    assert {line.split()[1] for line in lines} >= {"fetch", "export", "bench", "profile"}
    for line in lines:
        build_parser().parse_args(shlex.split(line)[1:])


def test_recipes_and_comparisons_of_the_page_exist():
    for words in words_of("training.train"):
        read_recipe(ROOT / words[0])
    for words in words_of("training.compare"):
        read_comparison(ROOT / words[0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory, shapes_data):
    """All data that the page names, in small, in one folder."""
    folder = tmp_path_factory.mktemp("page")
    content = json.loads((shapes_data / "annotations" / "shapes_val.json").read_text())
    (folder / "DATA" / "annotations").mkdir(parents=True)
    (folder / "DATA" / "images").symlink_to(shapes_data / "images")
    for name in ("coco_val", "bsds500_val"):
        text = json.dumps({**content, "info": {"exhaustive": True}})
        (folder / "DATA" / "annotations" / f"{name}.json").write_text(text)
    (folder / "val2017").mkdir()
    instances = write_images(folder / "val2017", {1: [rectangle(5, 5, 45, 45)], 2: [rectangle(9, 9, 40, 40)]})
    truth = json.loads(instances.read_text())
    results = [
        {k: a[k] for k in ("image_id", "category_id", "bbox")} | {"score": 0.5} for a in truth["annotations"]
    ]
    (folder / "instances_val2017.json").write_text(json.dumps(truth))
    for image in truth["images"]:
        image |= {"not_exhaustive_category_ids": [], "neg_category_ids": []}
    truth["categories"] = [{"id": 1, "name": "object", "frequency": "f", "image_count": 2}]
    (folder / "lvis_v1_val.json").write_text(json.dumps(truth))
    (folder / "coco").symlink_to(folder / "val2017")
    for name in ("coco_vitdet", "lvis_vitdet", "coco_yolov8", "coco_groundingdino"):
        (folder / f"{name}.json").write_text(json.dumps(results))
    (folder / "SGinW" / "Cows" / "valid").mkdir(parents=True)
    file = write_images(folder / "SGinW" / "Cows" / "valid", {1: [rectangle(5, 5, 45, 45)]})
    file.rename(file.with_name("_annotations_min1cat.coco.json"))
    (folder / "BOXES").mkdir()
    (folder / "BOXES" / "Cows.json").write_text(json.dumps(results[:1]))
    return folder


def small(words: list[str], folder: Path, bundle: Path) -> list[str]:
    """A command of the page on the data of the test: the random model, two images, four prompts."""
    changed = [str(folder / word) if (folder / word).exists() else word for word in words]
    replaced = {"--model": str(bundle), "--max-prompts": "4", "--grids": "2"}
    for place, word in enumerate(changed[:-1]):
        if word in replaced:
            changed[place + 1] = replaced[word]
    if "--on" in changed:
        changed += ["--limit", "2"]
    return changed


@pytest.mark.parametrize("words", words_of("training.evaluate"), ids=" ".join)
def test_evaluations_run(words, folder, bundle_folder, tmp_path, monkeypatch, capsys):
    if "lvis" in words:
        pytest.importorskip("lvis")
    monkeypatch.chdir(tmp_path)
    command = small(words, folder, bundle_folder)
    if words[0] != "wild" or "--detections" in words:
        command += ["--json", str(tmp_path / "report.json")]
    assert evaluate.main(command) == 0, capsys.readouterr().err
    if "--json" in command:
        report = json.loads((tmp_path / "report.json").read_text())
        assert all(table for table in report.values())


@pytest.mark.parametrize("words", words_of("training.train"), ids=lambda words: Path(words[0]).stem)
def test_trainings_run(words, shapes_data, bundle_folder, tmp_path):
    content = yaml.safe_load((ROOT / words[0]).read_text())
    dense = content["task"] in ("semantic", "upscale")
    content["precision"] = "32-true"
    content["stages"] = [{"size": 64, "steps": 2, "batch": 2, "prompts": 2, "lr": 1e-4}]
    data = shapes_data
    if content["task"] == "semantic":
        data = tmp_path / "cityscapes"
        write_cityscapes(data)
        content["data"]["train"] = ["val"]
    elif content["task"] == "upscale":
        content["model"] = "efficientvit_sr_tiny"
        data = tmp_path / "photographs"
        for number in range(2):
            write(data / f"{number}.png", stripes(np.random.default_rng(number), (144, 192))[0])
    else:
        # The published encoders take minutes a step here; the task and its losses are the recipe's.
        content |= {"model": "lite_sam", "data": {"train": ["shapes_train"]}}
    if content.get("teacher"):
        weights = str(bundle_folder / "model.safetensors")
        content["teacher"] = {"kind": "model", "model": "lite_sam", "path": weights}
    (recipe := tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content))
    out = tmp_path / "out"
    assert train.main([str(recipe), "--data", str(data), "--out", str(out), "--workers", "0"]) == 0
    assert (out / "model.safetensors").is_file()
    assert len((out / "log.csv").read_text().splitlines()) > 1 or dense
