# SPDX-License-Identifier: Apache-2.0
"""Images of nothing have no edges and teach AutoPPN that there is nothing; what is shown there is counted."""

import json

import cv2
import numpy as np
import pytest
import torch

from training.empty_images import KINDS
from training.engine import Engine
from training.evaluate import main
from training.recipe import Recipe


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(480, 640), (64, 96)])
def test_there_is_no_edge_in_them(kind, size):
    """Canny on the smoothed image, with thresholds for a step of some grey values, finds nothing."""
    rng = np.random.default_rng(3)
    for _ in range(5):
        image = KINDS[kind](size, rng)
        assert image.dtype == np.uint8 and image.shape == (*size, 3)
        blurred = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (0, 0), 3)
        assert not cv2.Canny(blurred, 30, 60).any()
        values = image.reshape(-1, 3).astype(float)
        if kind == "uniform":
            assert np.ptp(values, axis=0).max() == 0
        if kind == "noise":
            assert 1 < values.std(0).max() < 17


def test_auto_ppn_learns_empty_images(shapes_data, tmp_path):
    """Trained on nothing but images of nothing, it has no confidence on others of the kind."""
    settings = {
        "task": "auto_ppn",
        "data": {"train": ["shapes_train"], "empty": 1.0},
        "stages": [{"size": 64, "steps": 60, "batch": 4, "prompts": 1, "lr": 1e-2}],
        "precision": "32-true",
    }
    engine = Engine(Recipe.model_validate(settings), shapes_data, tmp_path, workers=0)

    def heat() -> float:
        rng = np.random.default_rng(99)
        images = np.stack([draw((64, 64), rng) for draw in KINDS.values()])
        mean, std = (torch.tensor(value) * 255 for value in (engine.model.spec.mean, engine.model.spec.std))
        blob = ((torch.from_numpy(images).float() - mean) / std).permute(0, 3, 1, 2)
        model = engine.model.eval()
        with torch.no_grad():
            return torch.sigmoid(model.auto_ppn.logits(model.embed(blob)[0])[0]).max().item()

    before = heat()
    engine.run()
    assert heat() < min(0.2, before)


def test_a_task_without_prompts_rejects_empty_images():
    settings = {
        "task": "distill",
        "data": {"empty": 0.1},
        "stages": [{"steps": 1, "lr": 1e-3}],
        "teacher": {"kind": "files", "path": "x"},
    }
    with pytest.raises(ValueError, match=r"data\.empty is for the tasks auto_ppn, sam and lite_sam"):
        Recipe.model_validate(settings)


def test_the_predicted_iou_learns_empty_images(shapes_data, tmp_path):
    """After training on empty images alone, each mask that a point gets on another one has a low score."""
    settings = {
        "task": "sam",
        "data": {"train": ["shapes_train"], "empty": 1.0},
        "prompts": {"boxes": 0.5, "boxes_and_points": True},
        "stages": [{"size": 64, "steps": 40, "batch": 4, "prompts": 4, "lr": 1e-2}],
        "precision": "32-true",
    }
    engine = Engine(Recipe.model_validate(settings), shapes_data, tmp_path, workers=0)
    with torch.no_grad():
        engine.model.mask_decoder.iou_prediction_head.layers[-1].bias.fill_(0.8)
    engine.run()
    rng = np.random.default_rng(99)
    images = np.stack([draw((64, 64), rng) for draw in KINDS.values()])
    mean, std = (torch.tensor(value) * 255 for value in (engine.model.spec.mean, engine.model.spec.std))
    model = engine.model.eval()
    with torch.no_grad():
        blob = ((torch.from_numpy(images).float() - mean) / std).permute(0, 3, 1, 2)
        embedding, high_res = model.embed(blob)
        model.prompt_encoder.embedding_size = embedding.shape[-2], embedding.shape[-1]
        side = 4 * embedding.shape[-1]
        coords, labels = torch.full((len(images), 1, 2), 512.0), torch.ones(len(images), 1)
        _, iou = model.decode(
            embedding, coords, labels, torch.zeros(1, 1, side, side), torch.zeros(1), high_res
        )
    assert iou[:, 1:].abs().max() < 0.2


def test_the_command_counts_published_masks(tmp_path, capsys):
    report = tmp_path / "report.json"
    assert main(["empty", "--model", "lite_sam", "--max-prompts", "16", "--json", str(report)]) == 0
    ((name, table),) = json.loads(report.read_text()).items()
    assert name == "lite_sam" and set(table) == set(KINDS)
    for row in table.values():
        assert row["max"] >= row["shown"] >= 0 and 0 <= row["area"] <= 1
        assert (row["area"] == 0) == (row["max"] == 0)
    assert capsys.readouterr().out.split()[:4] == ["lite_sam", "shown", "max", "area"]
