# SPDX-License-Identifier: Apache-2.0
"""A run learns, and a run that was cut and resumed is the run that was not."""

import copy
from pathlib import Path

import pytest
import torch

from training.geometry import ellipse_masks, geometry_loss, synthetic_prompts, warm_up
from training.recipe import Recipe, read_recipe
from training.train import learning_rate, run

RECIPES = sorted((Path(__file__).parents[2] / "training" / "recipes").glob("*.yaml"))
STAGES = [
    {"size": 64, "steps": 3, "batch": 2, "prompts": 4, "lr": 1e-3, "lr_end": 5e-4, "zoom": [0.8, 1.4]},
    {"size": 96, "steps": 3, "batch": 2, "prompts": 4, "boxes": 3, "lr": 5e-4, "lr_end": 0.0},
]


def recipe(stages: list[dict], **more) -> Recipe:
    losses = {"pixel": "sized_bce", "pixel_weight": 1.0, "boxes_teach_all": True}
    geometry = {"rehearse": 4}
    settings = {"train": ["shapes_train"], "stages": stages, "losses": losses, "geometry": geometry, **more}
    return Recipe.model_validate({"bfloat16": False, **settings})


def test_cut_and_resumed_run_equals_the_uncut_one(shapes_data, tmp_path):
    whole = run(recipe(STAGES), shapes_data, tmp_path / "whole", workers=0, save_every=1e9)
    cut = copy.deepcopy(STAGES)
    # The same run, stopped by hand after four steps: its first stage and one step of the second.
    import training.train as train

    original = train.Trainer.train_step

    def dies_at_four(self, *arguments):
        if self.step == 4:
            self.save(tmp_path / "cut")
            raise KeyboardInterrupt
        return original(self, *arguments)

    train.Trainer.train_step = dies_at_four
    try:
        with pytest.raises(KeyboardInterrupt):
            run(recipe(cut), shapes_data, tmp_path / "cut", workers=0, save_every=1e9)
    finally:
        train.Trainer.train_step = original
    resumed = run(recipe(cut), shapes_data, tmp_path / "cut", workers=0, save_every=1e9)
    assert resumed.step == whole.step == 6
    for ours, theirs in zip(
        resumed.average.state_dict().values(), whole.average.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_training_brings_the_loss_down(shapes_data, tmp_path):
    import csv

    stages = [{"size": 64, "steps": 100, "batch": 4, "prompts": 4, "lr": 1e-3, "lr_end": 1e-4}]
    run(recipe(stages), shapes_data, tmp_path, workers=0, save_every=1e9)
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert float(rows[-1]["loss"]) < 0.8 * float(rows[0]["loss"])


def test_geometry_warm_up_learns_what_a_box_means():
    from evitsam_ros.models import create_model

    torch.manual_seed(0)
    model = create_model("lite_sam")

    def loss_on_the_same_prompts() -> float:
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            return geometry_loss(model, 64, 6, generator, smallest=0.3)[0].item()

    before = loss_on_the_same_prompts()
    warm_up(model, 60, 24, (6,), 1e-3)
    assert loss_on_the_same_prompts() < 0.8 * before
    assert model.prompt_encoder.embedding_size == (40, 40)


def test_synthetic_ellipses_have_the_area_of_ellipses():
    _, labels, ellipses = synthetic_prompts(64, 640.0, torch.Generator().manual_seed(0))
    assert ((labels == 2).sum(1) + (labels == 1).sum(1) >= 1).all()
    low, high = ellipses[:, :2] - ellipses[:, 2:], ellipses[:, :2] + ellipses[:, 2:]
    inside = ((low >= 0) & (high <= 640)).all(1)
    areas = ellipse_masks(ellipses, 160, 640.0).sum((1, 2)) * 16
    wanted = torch.pi * ellipses[:, 2] * ellipses[:, 3]
    large = inside & (wanted > 2000)
    torch.testing.assert_close(areas[large], wanted[large], rtol=0.03, atol=0)


def test_learning_rate_warms_up_and_follows_the_cosine():
    stage = recipe([{"size": 64, "steps": 100, "lr": 1.0, "lr_end": 0.2, "warmup": 9}]).stages[0]
    assert learning_rate(stage, 0) == pytest.approx(0.1, rel=0.01)
    assert learning_rate(stage, 50) == pytest.approx(0.6)
    assert learning_rate(stage, 99) == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_are_valid(path):
    assert read_recipe(path).total_steps > 0


def test_wrong_recipe_names_file_and_entry(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("train: ['*']\nstages: [{size: 100, steps: 1, lr: 0.1, lr_end: 0}]\nspeed: 3\n")
    with pytest.raises(ValueError, match=r"mine\.yaml: .*stages\.0\.size: .*multiple of 16.*speed: Extra"):
        read_recipe(path)
    with pytest.raises(ValueError, match="cannot be read"):
        read_recipe(tmp_path / "absent.yaml")
