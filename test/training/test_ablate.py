# SPDX-License-Identifier: Apache-2.0
"""Ablation tables: the budget, the spread of the seeds, and a table that is trained and continued."""

import json
import re

import cv2
import pytest
import yaml

from test.conftest import ROOT
from training.ablate import TABLES, find_table, main, with_budget
from training.compare import RESULT, read_comparison
from training.seed_report import markdown, spreads


def test_a_budget_is_shared_by_the_stages():
    _, recipes = read_comparison(find_table("lite_sam_ppn"))
    recipe = recipes["baseline"]
    assert [stage.steps for stage in recipe.stages] == [3000, 1000]
    for steps, shares in ((400, [300, 100]), (7, [6, 1]), (2, [1, 1]), (1, [1])):
        cut = with_budget(recipe, steps, 3)
        assert [stage.steps for stage in cut.stages] == shares and cut.seed == 3
        assert all(stage.warmup <= (stage.steps or 0) // 10 for stage in cut.stages)
        assert cut.geometry.steps == round(recipe.geometry.steps * steps / 4000)
        assert cut.stages[-1].size == recipe.stages[-1].size


def test_table_2_has_every_combination_once():
    _, recipes = read_comparison(find_table("lite_sam_ppn"))
    found = {
        (r.ppn_stem == "mspm", r.losses.heat == "mined_mse", r.losses.grouping) for r in recipes.values()
    }
    assert len(recipes) == len(found) == 8
    for recipe in recipes.values():
        assert (recipe.data.heat_target == "distance") == (recipe.losses.heat == "mined_mse")


def test_table_1_has_the_rows_of_the_paper():
    _, recipes = read_comparison(find_table("lite_sam_blocks"))
    assert [r.lite_vit or r.model for r in recipes.values()] == [
        *("poolformer_s12", "tiny", "step1", "step2", "step3", "step4"),
        *("lite_sam", "lite_sam_x2", "lite_sam_x3"),
    ]


def test_a_difference_inside_the_spread_is_called_that():
    rows = spreads(
        {
            "a": [{"GMAC": 4.0, "IoU": 0.50}, {"GMAC": 4.0, "IoU": 0.60}],
            "b": [{"GMAC": 4.0, "IoU": 0.53}, {"GMAC": 4.0, "IoU": 0.55}],
            "c": [{"GMAC": 2.0, "IoU": 0.30}, {"GMAC": 2.0, "IoU": 0.40}],
        }
    )
    lines = markdown("t", rows).splitlines()
    assert "| a | 4.00 | 0.550 (0.500 to 0.600) |" in lines
    assert lines[-1] == (
        "- IoU: highest mean a; difference inside the spread: b; lower by more than the spread: c"
    )


@pytest.fixture
def small_table(tmp_path):
    """The shipped tables, with the smallest budget that trains and images of the test."""
    content = yaml.safe_load((TABLES / "lite_sam_ppn.yaml").read_text())
    content["recipe"] = str(ROOT / "training" / "recipes" / "lite_sam_cpu.yaml")
    content["changes"] |= {
        "precision": "32-true",
        "geometry": {"steps": 0, "rehearse": 0},
        "data": {"train": ["shapes_train"], "source_weights": None, "heat_target": "gaussian"},
        "stages": [{"size": 64, "steps": 9, "batch": 2, "prompts": 2, "lr": 1e-3}],
    }
    content["measure"] = {"files": ["shapes_val"], "limit": 2, "clicks": [1]}
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_rows_are_trained_with_two_seeds_and_read_again(small_table, shapes_data, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = [str(small_table), "--data", str(shapes_data), "--out", str(out), "--workers", "0"]
    arguments += ["--only", "baseline", "--steps"]
    assert main([*arguments, "1"]) == 0
    text = capsys.readouterr().out
    assert "| baseline | 1.16 | " in text and (out / "table.md").read_text().strip() == text.strip()
    rows = json.loads((out / "table.json").read_text())["rows"]
    results = [json.loads((out / "baseline" / f"seed_{seed}" / RESULT).read_text()) for seed in (0, 1)]
    assert rows["baseline"]["GT box"]["values"] == [result["GT box"] for result in results]
    for name in ("table.png", "costs.png"):
        assert cv2.imread(str(out / name)).std() > 1
    # A row that is done is read, not trained.
    file = out / "baseline" / "seed_1" / RESULT
    file.write_text(json.dumps(results[1] | {"GT box": 0.875}))
    assert main([*arguments, "1"]) == 0
    assert "to 0.875)" in capsys.readouterr().out
    # Results of one budget are never shown as those of another.
    assert main([*arguments, "2"]) == 2
    assert "1 steps, not 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["table", "lite_sam_9"], "no table 'lite_sam_9'; expected one of .*lite_sam_blocks"),
        (["--only", "no such row"], "no row no such row; expected some of baseline"),
        (["--data", "/nowhere"], "/nowhere"),
    ],
)
def test_wrong_arguments_are_one_line(change, message, shapes_data, tmp_path, capsys):
    arguments = {"table": "lite_sam_ppn", "--data": str(shapes_data), "--out": str(tmp_path), "--steps": "1"}
    arguments |= {change[0]: change[1]}
    words = [arguments.pop("table"), *(word for pair in arguments.items() for word in pair)]
    assert main(words) in (1, 2)
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert re.search(message, error), error


def test_one_seed_is_rejected(capsys):
    with pytest.raises(SystemExit):
        main(["lite_sam_ppn", "--data", "d", "--out", "o", "--steps", "1", "--seeds", "3", "3"])
    assert "two or more different seeds" in capsys.readouterr().err
