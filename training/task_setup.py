# SPDX-License-Identifier: Apache-2.0
"""Make the parts of a run that depend on the recipe's task: model, data and previews."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evitsam_ros.models import create_model
from evitsam_ros.models.efficientvit.build import create_network
from evitsam_ros.models.network_specs import network_spec

from .dense_feed import DenseFeed
from .feed import Feed
from .heads import take_heads
from .previews import write_dense_preview, write_preview

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from evitsam_ros.models.efficientvit.build import AnyNetwork
    from evitsam_ros.models.sam import Sam

    from .recipe import Recipe


def build_model(recipe: Recipe) -> Sam | AnyNetwork:
    """Build the recipe's model with its initial weights.

    Raises:
        ValueError: the model is unknown or not of the task, or a checkpoint does not fit.
    """
    if recipe.is_dense:
        spec = network_spec(recipe.model)
        if spec.kind != recipe.task:
            raise ValueError(f"{recipe.model} is not for the task {recipe.task!r}")
        return create_network(recipe.model, recipe.init, backbone=recipe.backbone)
    model = create_model(
        recipe.model,
        recipe.init,
        decoder_mlp=recipe.decoder_mlp,
        auto_ppn=True if recipe.task in ("lite_sam", "auto_ppn") else None,
        ppn_stem=recipe.ppn_stem,
        box_prior=recipe.box_prior,
        backbone_weights=recipe.backbone,
        high_res=recipe.high_res,
        gather=recipe.gather,
        top_down=recipe.top_down,
        lite_vit=recipe.lite_vit,
    )
    if recipe.heads is not None and recipe.init is None:
        take_heads(model, recipe.heads)
    return model


def open_feed(recipe: Recipe, data: Path, workers: int, rank: int, ranks: int) -> Feed | DenseFeed:
    """Open the recipe's data for process ``rank`` of ``ranks``."""
    return (DenseFeed if recipe.is_dense else Feed)(recipe, data, workers, rank, ranks)


def preview_writer(recipe: Recipe) -> Callable[..., None]:
    """Return the function that writes the averaged model's predictions for a batch to a file."""
    return write_dense_preview if recipe.is_dense else write_preview
