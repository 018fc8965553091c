# SPDX-License-Identifier: Apache-2.0
"""Deprecated names of recipe entries. They work for one more release; each logs one warning."""

from __future__ import annotations

import functools
import logging
from typing import Any

_log = logging.getLogger(__name__)

#: Present name by deprecated name of an entry, by section of the recipe.
RENAMED = {
    "data": {"heat_of": "heat_target", "proposals_from": "proposal_sources"},
    "stages": {
        "first_stage_fixed": "freeze_first_stage",
        "backbone_fixed": "freeze_backbone_stride",
        "depthwise_fixed": "freeze_depthwise",
    },
    "prompts": {"together": "boxes_and_points", "fed_back": "mask_feedback", "mask_alone": "mask_only"},
    "losses": {
        "others": "other_masks",
        "rank": "rank_weight",
        "outside": "outside_weight",
        "boxes_teach_all": "boxes_train_all_masks",
    },
    "semantic": {"ohem_probability": "ohem_thresh", "ohem_kept": "ohem_min_kept"},
    "optimiser": {
        "heads_rate": "heads_lr_scale",
        "backbone_rate": "backbone_lr_scale",
        "clip": "max_grad_norm",
    },
}


def rename_entries(recipe: Any) -> Any:
    """Return a recipe, or changes to one, with present names in place of deprecated ones.

    Args:
        recipe: content of the file; anything but a mapping is returned unchanged.

    Raises:
        ValueError: an entry is given by both names.
    """
    if not isinstance(recipe, dict):
        return recipe
    return {section: _rename_section(section, content) for section, content in recipe.items()}


def rename_comparison(comparison: Any) -> Any:
    """Return a comparison file with present names in its changes and variants; otherwise unchanged.

    Raises:
        ValueError: an entry is given by both names.
    """
    if not isinstance(comparison, dict):
        return comparison
    renamed = dict(comparison)
    if "changes" in renamed:
        renamed["changes"] = rename_entries(renamed["changes"])
    if isinstance(renamed.get("variants"), dict):
        renamed["variants"] = {name: rename_entries(each) for name, each in renamed["variants"].items()}
    return renamed


def _rename_section(section: Any, content: Any) -> Any:
    if section not in RENAMED:
        return content
    if isinstance(content, (list, tuple)):
        return [_rename_section(section, part) for part in content]
    if not isinstance(content, dict):
        return content
    names, renamed = RENAMED[section], {}
    for name, value in content.items():
        present = names.get(name, name)
        if present != name:
            if present in content:
                raise ValueError(f"{section} has both {present!r} and {name!r}, its deprecated name")
            warn_once(section, name, present)
        renamed[present] = value
    return renamed


@functools.cache
def warn_once(section: str, old: str, new: str) -> None:
    """Log a warning about the deprecated name of an entry, once per process."""
    _log.warning("recipe entry '%s.%s' is deprecated: write '%s.%s'", section, old, section, new)
