# SPDX-License-Identifier: Apache-2.0
"""The tasks semantic and upscale: losses, runs that learn and can be resumed, scores of their bundles."""

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from evitsam_ros.dense_export import export_network
from evitsam_ros.models.network_specs import network_spec
from training import evaluate_dense
from training.dense_losses import ohem_cross_entropy, pixel_accuracy
from training.engine import Engine
from training.recipe import Recipe, read_recipe

from .dense_data import stripes, write, write_camvid

RECIPES = Path(__file__).parents[2] / "training" / "recipes"
SEMANTIC = {
    "task": "semantic",
    "model": "efficientvit_seg_b0_camvid",
    "data": {"kind": "camvid"},
    "precision": "32-true",
    "stages": [{"size": 64, "batch": 4, "steps": 12, "lr": 3e-3, "lr_end": 1e-3, "zoom": [0.8, 1.2]}],
    "optimiser": {"ema": 0.5},
}
UPSCALE = {
    "task": "upscale",
    "model": "efficientvit_sr_tiny",
    "data": {"kind": "photographs"},
    "precision": "32-true",
    "stages": [{"size": 16, "batch": 2, "steps": 4, "lr": 1e-3}],
}


@pytest.fixture(autouse=True)
def one_thread():
    """Small tensors gain nothing by threads, which wait for each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def recipe(settings: dict, **changes) -> Recipe:
    return Recipe.model_validate({**settings, **changes})


def trained(settings: Recipe, data: Path, out: Path, steps: int | None = None) -> Engine:
    engine = Engine(settings, data, out, workers=0, save_every=1e9)
    if steps is not None:
        engine.resume()
        batches = engine.feed.batches(settings.stages[0], engine.model.spec, engine.step, 0, 100)
        for _ in range(steps - engine.step):
            engine.train_step([next(batches)], 1e-3)
        engine.save()
    else:
        engine.run()
    return engine


@pytest.fixture(scope="module")
def street_data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("camvid")
    write_camvid(folder, "train", 4, seed=0)
    write_camvid(folder, "test", 2, seed=9)
    return folder


@pytest.fixture(scope="module")
def photographs(tmp_path_factory, photograph):
    folder = tmp_path_factory.mktemp("photographs")
    for number, top in enumerate((100, 300)):
        write(folder / f"{number}.png", photograph[top : top + 64, 200:264])
    return folder


def by_loop(logits, target, probability, kept, weights=None):
    """OHEM one pixel at a time."""
    pixels = []
    for image in range(len(target)):
        for row, col in np.ndindex(*target.shape[1:]):
            number = int(target[image, row, col])
            if number != 255:
                scores = logits[image, :, row, col]
                loss = math.log(sum(math.exp(v) for v in scores)) - float(scores[number])
                pixels.append((loss, 1.0 if weights is None else float(weights[number])))
    pixels.sort(reverse=True)
    least = max(1, math.ceil(kept * len(pixels)))
    hard = [pixel for i, pixel in enumerate(pixels) if i < least or math.exp(-pixel[0]) < probability]
    return sum(loss * weight for loss, weight in hard) / sum(weight for _, weight in hard)


@pytest.mark.parametrize(("probability", "kept"), [(0.7, 0.1), (0.05, 0.4), (0.3, 0.0), (0.99, 0.2)])
@pytest.mark.parametrize("weights", [None, (1.0, 0.5, 3.0)])
def test_hard_pixels_teach(probability, kept, weights):
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(2, 3, 5, 6, generator=generator)
    target = torch.randint(0, 3, (2, 5, 6), generator=generator).byte()
    target[0, 0] = 255
    tensor = None if weights is None else torch.tensor(weights)
    found = ohem_cross_entropy(logits, target, probability, kept, tensor)
    assert float(found) == pytest.approx(by_loop(logits, target, probability, kept, weights), rel=1e-5)


def test_all_pixels_give_plain_cross_entropy_and_none_give_0():
    logits = torch.randn(1, 4, 6, 6, generator=torch.Generator().manual_seed(1), requires_grad=True)
    target = torch.randint(0, 4, (1, 6, 6), generator=torch.Generator().manual_seed(2)).byte()
    weights = torch.tensor([1.0, 2.0, 0.5, 4.0])
    expected = F.cross_entropy(logits, target.long(), weights)
    torch.testing.assert_close(ohem_cross_entropy(logits, target, 1.0, 1.0, weights), expected)
    empty = ohem_cross_entropy(logits, torch.full_like(target, 255))
    empty.backward()
    assert float(empty) == 0 and not logits.grad.any()
    assert float(pixel_accuracy(logits, torch.full_like(target, 255))) == 0


def test_semantic_training_learns_and_its_bundle_is_scored(street_data, tmp_path, capsys):
    settings = recipe(SEMANTIC, stages=[{**SEMANTIC["stages"][0], "steps": 30}])
    engine = trained(settings, street_data, tmp_path / "run")
    assert list((tmp_path / "run" / "previews").glob("*.jpg"))
    assert engine.step == 30
    name = "efficientvit_seg_b0_camvid"
    bundle = export_network(name, tmp_path / "run" / "model.safetensors", tmp_path / "bundle", size=(96, 96))
    report = tmp_path / "report.json"
    command = ["semantic", "--model", str(bundle), "--data", str(street_data), "--kind", "camvid"]
    assert evaluate_dense.main([*command, "--split", "test", "--json", str(report)]) == 0
    table = json.loads(report.read_text())["camvid test"]
    assert table["mean"]["images"] == 2 and table["car"]["IoU"] is None
    # Three classes by their colour: chance is a third.
    assert table["mean"]["accuracy"] > 0.6
    assert "bicyclist" in capsys.readouterr().out


@pytest.mark.parametrize("task", ["semantic", "upscale"])
def test_a_resumed_run_is_the_run_that_was_not_cut(task, street_data, photographs, tmp_path):
    settings, data = (recipe(SEMANTIC), street_data) if task == "semantic" else (recipe(UPSCALE), photographs)
    complete = trained(settings, data, tmp_path / "whole", 4)
    trained(settings, data, tmp_path / "cut", 2)
    resumed = trained(settings, data, tmp_path / "cut", 4)
    assert resumed.step == complete.step == 4
    for name, value in complete.model.state_dict().items():
        torch.testing.assert_close(resumed.model.state_dict()[name], value, msg=name)


def test_upscale_training_improves_and_is_scored_beside_bicubic(photographs, tmp_path):
    stage = {"size": 32, "batch": 2, "steps": 80, "lr": 1e-3, "lr_end": 5e-4, "warmup": 10}
    settings = recipe(UPSCALE, stages=[stage], optimiser={"ema": 0.5})
    engine = trained(settings, photographs, tmp_path / "run")
    image = np.stack([cv2.imread(str(path))[..., ::-1] for path in sorted(photographs.glob("*.png"))])
    large = torch.from_numpy(np.ascontiguousarray(image)).permute(0, 3, 1, 2).float() / 255
    small = F.interpolate(large, scale_factor=0.5, mode="bicubic", antialias=True).clamp(0, 1)
    coarse = F.interpolate(small, scale_factor=2, mode="bicubic")
    with torch.no_grad():
        made = engine.average.eval()(small)
    assert F.mse_loss(made, large) < F.mse_loss(coarse, large)
    bundle = export_network(
        "efficientvit_sr_tiny", tmp_path / "run" / "model.safetensors", tmp_path / "bundle", size=(48, 48)
    )
    report = tmp_path / "report.json"
    command = ["upscale", "--model", str(bundle), "--images", str(photographs), "--json", str(report)]
    assert evaluate_dense.main(command) == 0
    (table,) = json.loads(report.read_text()).values()
    assert table["efficientvit_sr_tiny"]["PSNR-Y"] > table["bicubic"]["PSNR-Y"] > 20
    assert table["bicubic"]["images"] == 2


def test_an_untrained_network_scores_as_bicubic(photographs, tmp_path):
    bundle = export_network("efficientvit_sr_tiny", None, tmp_path / "bundle", size=(48, 48))
    report = tmp_path / "report.json"
    evaluate_dense.main(
        ["upscale", "--model", str(bundle), "--images", str(photographs), "--json", str(report)]
    )
    (table,) = json.loads(report.read_text()).values()
    # Two bicubic kernels, -0.75 and -0.5.
    assert table["efficientvit_sr_tiny"]["PSNR-Y"] == pytest.approx(table["bicubic"]["PSNR-Y"], abs=0.6)


def test_unusable_images_are_left_out_and_none_left_is_an_error(tmp_path, capsys):
    image, classes = stripes(np.random.default_rng(0))
    write(tmp_path / "val" / "0.png", image)
    write(tmp_path / "valannot" / "0.png", classes[:36])
    bundle = export_network("efficientvit_seg_b0_camvid", None, tmp_path / "bundle", size=(64, 64))
    command = ["semantic", "--model", str(bundle), "--data", str(tmp_path), "--kind", "camvid"]
    assert evaluate_dense.main(command) == 1
    assert "the image is 96x72, its label map 96x36" in capsys.readouterr().err
    assert evaluate_dense.main([*command, "--split", "nowhere"]) == 1
    assert "there is no folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "changes", "text"),
    [
        (SEMANTIC, {"data": {"kind": "coco"}}, "needs data of kind camvid or cityscapes or ade20k"),
        (UPSCALE, {"data": {"kind": "camvid"}}, "needs data of kind photographs"),
        (SEMANTIC, {"task": "lite_sam"}, "are not for the task 'lite_sam'"),
        (SEMANTIC, {"geometry": {"steps": 5}}, "has no geometry"),
        (SEMANTIC, {"semantic": {"ohem_thresh": 0}}, "greater than 0"),
        (SEMANTIC, {"stages": [{"size": 32, "steps": 1, "lr": 1e-3}]}, "needs at least 64"),
    ],
)
def test_recipes_that_do_not_fit_their_task_are_rejected(settings, changes, text):
    with pytest.raises(ValueError, match=text):
        recipe(settings, **changes)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"model": "efficientvit_sr_tiny"}, "is not for the task 'semantic'"),
        ({"model": "lite_sam"}, "network 'lite_sam' is unknown"),
        ({"model": "efficientvit_seg_b0_cityscapes"}, "other classes"),
        ({"semantic": {"class_weights": [1.0]}}, r"1 class_weights; .* has 11 classes"),
    ],
)
def test_models_that_do_not_fit_are_rejected(changes, text, street_data, tmp_path):
    with pytest.raises(ValueError, match=text):
        Engine(recipe(SEMANTIC, **changes), street_data, tmp_path, workers=0)


@pytest.mark.parametrize(
    "name",
    ["semantic_b0_camvid", "semantic_b0_camvid_longer", "semantic_cityscapes", "upscale", "upscale_tiny"],
)
def test_recipes_that_come_with_the_project_are_valid(name):
    settings = read_recipe(RECIPES / f"{name}.yaml")
    spec = network_spec(settings.model)
    assert spec.kind == settings.task
    assert all(stage.size % spec.multiple == 0 for stage in settings.stages)
    weights = settings.semantic.class_weights
    assert weights is None or len(weights) == spec.classes
