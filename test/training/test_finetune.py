# SPDX-License-Identifier: Apache-2.0
"""The walk-through of training/README.md in small: shipped weights, a few new images, a better bundle."""

import json
from pathlib import Path

import pytest
import yaml

from evitsam_ros import cli
from training import evaluate, train

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(2400)
def test_three_commands_make_a_better_bundle(shapes_data, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    recipe = yaml.safe_load((ROOT / "training" / "recipes" / "finetune.yaml").read_text())
    stage = {"size": 320, "batch": 2, "prompts": 4, "lr": 3e-4, "steps": 40, "zoom": [0.9, 1.2]}
    small = tmp_path / "finetune.yaml"
    small.write_text(yaml.safe_dump({**recipe, "stages": [stage]}))
    run = ["--data", str(shapes_data), "--out", str(tmp_path / "run"), "--workers", "0"]
    assert train.main([str(small), *run]) == 0
    checkpoint, bundle = tmp_path / "run" / "model.safetensors", tmp_path / "mine"
    arguments = ["export", "--model", "lite_sam", "--checkpoint", str(checkpoint)]
    assert not cli.main([*arguments, "--out", str(bundle)])

    def quality(model: Path) -> float:
        report = tmp_path / "report.json"
        data = ["--data", str(shapes_data), "--on", "shapes_val", "--clicks"]
        assert evaluate.main(["boxes", "--model", str(model), *data, "--json", str(report)]) == 0
        return json.loads(report.read_text())["shapes_val"]["GT box"]["all"]

    assert quality(bundle) > quality(ROOT / "engines" / "lite_sam") + 0.005
