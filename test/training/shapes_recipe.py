# SPDX-License-Identifier: Apache-2.0
"""A recipe of a minute on the drawn shapes."""

from __future__ import annotations

from training.recipe import Recipe

#: Two stages of three steps.
STAGES = [
    {"size": 64, "steps": 3, "batch": 2, "prompts": 4, "lr": 1e-3, "lr_end": 5e-4, "zoom": [0.8, 1.4]},
    {"size": 96, "steps": 3, "batch": 2, "prompts": 4, "lr": 5e-4, "lr_end": 0.0},
]


def recipe(stages: list[dict], **more) -> Recipe:
    settings = {
        "data": {"train": ["shapes_train"]},
        "stages": stages,
        "losses": {"pixel": "sized_bce", "pixel_weight": 1.0, "boxes_train_all_masks": True},
        "geometry": {"rehearse": 4},
        "precision": "32-true",
        **more,
    }
    return Recipe.model_validate(settings)
