# SPDX-License-Identifier: Apache-2.0
"""Variants of a recipe: how entries merge, and a table of two that were trained."""

import json

import pytest
import yaml

from test.conftest import ROOT
from training.compare import RESULT, main, merge_changes, read_comparison, table

SHIPPED = sorted((ROOT / "training" / "comparisons").glob("*.yaml"))
RECIPE = {
    "task": "sam",
    "model": "lite_sam",
    "precision": "32-true",
    "data": {"train": ["shapes_train"], "colour": 0.2},
    "stages": [{"size": 64, "steps": 1, "batch": 2, "prompts": 2, "lr": 1e-3}],
}


@pytest.fixture
def comparison(tmp_path):
    def write(**entries):
        (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
        path = tmp_path / "comparison.yaml"
        path.write_text(yaml.safe_dump({"recipe": "recipe.yaml", **entries}))
        return path

    return write


def test_mappings_merge_lists_are_replaced_and_null_removes():
    base = {"a": 1, "b": {"c": 2, "d": [3, 4]}, "e": 5}
    assert merge_changes(base, {"b": {"d": [6]}, "e": None, "f": 7}) == {
        "a": 1,
        "b": {"c": 2, "d": [6]},
        "f": 7,
    }
    assert base == {"a": 1, "b": {"c": 2, "d": [3, 4]}, "e": 5}


def test_each_variant_is_the_recipe_with_its_changes(comparison):
    path = comparison(changes={"seed": 3}, variants={"plain": {}, "grey": {"data": {"colour": None}}})
    _, recipes = read_comparison(path)
    assert recipes["plain"].seed == recipes["grey"].seed == 3
    assert (recipes["plain"].data.colour, recipes["grey"].data.colour) == (0.2, 0.0)
    assert recipes["grey"].data.train == ("shapes_train",)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_comparisons_are_valid(path):
    comparison, recipes = read_comparison(path)
    assert list(recipes) == list(comparison.variants) and len(recipes) > 5


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"variants": {"a": {"data": {"hue": 1}}}}, "hue"),
        ({"variants": {}}, "variants"),
        ({"variants": {"a": {}}, "measure": {"on": ["x"]}}, "measure"),
    ],
)
def test_wrong_entries_are_named(comparison, entries, message):
    with pytest.raises(ValueError, match=message):
        read_comparison(comparison(**entries))


def test_variants_are_trained_scored_and_read_again_when_done(comparison, shapes_data, tmp_path, capsys):
    path = comparison(
        variants={"a": {}, "a conv stem": {"ppn_stem": "conv"}},
        measure={"files": ["shapes_val"], "limit": 2, "clicks": [1]},
    )
    arguments = [str(path), "--data", str(shapes_data), "--out", str(tmp_path / "out"), "--workers", "0"]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[0].startswith("| | parameters, M | GMAC | GT box |") and "1 click" in lines[0]
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| a", "| a conv stem"]
    # A variant that is done is not trained again: what its file says is what is printed.
    file = tmp_path / "out" / "a" / RESULT
    result = json.loads(file.read_text())
    assert result["parameters, M"] == pytest.approx(1.163, abs=1e-3)
    file.write_text(json.dumps(result | {"GT box": 0.125}))
    assert main([*arguments, "--only", "a"]) == 0
    assert "0.125" in capsys.readouterr().out
    assert main([*arguments, "--only", "b"]) == 2 and "no variant b" in capsys.readouterr().err


def test_a_column_that_one_variant_lacks_stays_empty():
    assert table({"a": {"x": 1.0}, "b": {"x": 2.0, "y": 3.0}}).splitlines()[2:] == [
        "| a | 1.000 |  |",
        "| b | 2.000 | 3.000 |",
    ]
