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


def test_auto_ppn_learns_that_there_is_nothing(shapes_data, tmp_path):
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


def test_images_of_nothing_are_for_auto_ppn_alone():
    with pytest.raises(ValueError, match=r"data\.empty is for the task 'auto_ppn', not for 'sam'"):
        Recipe.model_validate({"task": "sam", "data": {"empty": 0.1}, "stages": [{"steps": 1, "lr": 1e-3}]})


def test_the_command_counts_what_is_shown(tmp_path, capsys):
    report = tmp_path / "report.json"
    assert main(["empty", "--model", "lite_sam", "--max-prompts", "16", "--json", str(report)]) == 0
    ((name, table),) = json.loads(report.read_text()).items()
    assert name == "lite_sam" and set(table) == set(KINDS)
    for row in table.values():
        assert row["max"] >= row["shown"] >= 0 and 0 <= row["area"] <= 1
        assert (row["area"] == 0) == (row["max"] == 0)
    assert capsys.readouterr().out.split()[:4] == ["lite_sam", "shown", "max", "area"]
