# SPDX-License-Identifier: Apache-2.0
"""Deprecated names of recipe entries and of parameters in checkpoints still work."""

import json
import logging

import pytest
import torch
import yaml
from pydantic import ValidationError

from training import recipe_names
from training.ablate import SETTINGS, claim_folder
from training.checkpoint import current_parameter_name
from training.compare import read_comparison
from training.feature_teacher import FeatureHead
from training.recipe import Recipe

STAGE = {"steps": 1, "lr": 1e-3}
#: Section, deprecated name, present name, and a value that is not the default.
ENTRIES = [
    ("data", "heat_of", "heat_target", "gaussian"),
    ("data", "proposals_from", "proposal_sources", ("a", "b")),
    ("stages", "first_stage_fixed", "freeze_first_stage", True),
    ("stages", "backbone_fixed", "freeze_backbone_stride", 4),
    ("stages", "depthwise_fixed", "freeze_depthwise", True),
    ("prompts", "together", "boxes_and_points", False),
    ("prompts", "fed_back", "mask_feedback", 0.25),
    ("prompts", "mask_alone", "mask_only", 0.5),
    ("losses", "others", "other_masks", 0.125),
    ("losses", "rank", "rank_weight", 2.0),
    ("losses", "outside", "outside_weight", 4.0),
    ("losses", "boxes_teach_all", "boxes_train_all_masks", True),
    ("semantic", "ohem_probability", "ohem_thresh", 0.25),
    ("semantic", "ohem_kept", "ohem_min_kept", 0.5),
    ("optimiser", "heads_rate", "heads_lr_scale", 0.25),
    ("optimiser", "backbone_rate", "backbone_lr_scale", 0.125),
    ("optimiser", "clip", "max_grad_norm", 3.0),
]


@pytest.fixture(autouse=True)
def no_warnings_so_far():
    recipe_names.warn_once.cache_clear()


def recipe_of(section, entries):
    settings = {"stages": [{**STAGE, **entries}]} if section == "stages" else {section: entries}
    return {"task": "lite_sam", "stages": [STAGE], **settings}


@pytest.mark.parametrize(("section", "old", "new", "value"), ENTRIES)
def test_a_deprecated_name_sets_the_present_entry_and_warns_once(section, old, new, value, caplog):
    with caplog.at_level(logging.WARNING):
        recipes = [Recipe.model_validate(recipe_of(section, {old: value})) for _ in range(2)]
    part = recipes[0].stages[0] if section == "stages" else getattr(recipes[0], section)
    assert getattr(part, new) == value and recipes[0] == recipes[1]
    message = f"recipe entry '{section}.{old}' is deprecated: write '{section}.{new}'"
    assert [record.getMessage() for record in caplog.records] == [message]
    caplog.clear()
    assert Recipe.model_validate(recipe_of(section, {new: value})) == recipes[0] and not caplog.records


def test_every_deprecated_name_is_tested():
    names = {(section, old) for section, each in recipe_names.RENAMED.items() for old in each}
    assert names == {(section, old) for section, old, _, _ in ENTRIES}


@pytest.mark.parametrize(("section", "old", "new", "value"), ENTRIES[2:4])
def test_both_names_of_an_entry_are_an_error(section, old, new, value):
    with pytest.raises(ValidationError, match=f"{section} has both '{new}' and '{old}'"):
        Recipe.model_validate(recipe_of(section, {old: value, new: value}))


@pytest.mark.parametrize("content", [None, [], {"stages": 3}, {"stages": [3]}, {"data": None, "losses": []}])
def test_malformed_recipes_are_reported_by_the_checks_of_the_recipe(content):
    with pytest.raises(ValidationError, match="valid"):
        Recipe.model_validate(content)


def test_changes_of_a_comparison_replace_an_entry_by_either_name(tmp_path):
    """The recipe and the comparison may be of different releases."""
    for of_recipe, of_changes in (("clip", "max_grad_norm"), ("max_grad_norm", "clip")):
        recipe = {"task": "lite_sam", "stages": [STAGE], "optimiser": {of_recipe: 2.0}}
        (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        variants = {"a": {"optimiser": {of_changes: 5.0}}, "b": {"optimiser": {of_changes: None}}, "c": {}}
        file = tmp_path / "comparison.yaml"
        file.write_text(yaml.safe_dump({"recipe": "recipe.yaml", "variants": variants}))
        _, recipes = read_comparison(file)
        assert [each.optimiser.max_grad_norm for each in recipes.values()] == [5.0, 1.0, 2.0]


def test_an_ablation_begun_with_deprecated_names_continues(tmp_path):
    recipe = {"task": "lite_sam", "stages": [STAGE]}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    content = {"recipe": "recipe.yaml", "changes": {"optimiser": {"clip": 2.0}}, "variants": {"a": {}}}
    file = tmp_path / "comparison.yaml"
    file.write_text(yaml.safe_dump(content))
    comparison, _ = read_comparison(file)
    claim_folder(tmp_path / "out", comparison, 4)
    settings = json.loads((tmp_path / "out" / SETTINGS).read_text())
    settings["comparison"]["changes"] = content["changes"]
    (tmp_path / "out" / SETTINGS).write_text(json.dumps(settings))
    claim_folder(tmp_path / "out", comparison, 4)
    settings["comparison"]["changes"] = {"optimiser": {"clip": 3.0}}
    (tmp_path / "out" / SETTINGS).write_text(json.dumps(settings))
    with pytest.raises(ValueError, match="another table"):
        claim_folder(tmp_path / "out", comparison, 4)


def test_the_feature_head_of_an_earlier_checkpoint_has_its_present_name():
    head = torch.nn.ModuleDict({"feature_head": FeatureHead(4)})
    earlier = {"feature_head.tell.weight", "feature_head.tell.bias"}
    assert {current_parameter_name(name) for name in earlier} == set(head.state_dict())
    assert all(current_parameter_name(name) == name for name in head.state_dict())
