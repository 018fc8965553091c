# SPDX-License-Identifier: Apache-2.0
"""Train semantic segmentation: cross entropy of the hard pixels, at the resolution of the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from ..dense_losses import ohem_cross_entropy, pixel_accuracy
from .base import Task

if TYPE_CHECKING:
    from evitsam_ros.models.efficientvit.segmentation import SegmentationNetwork

    from ..dense_feed import DenseBatch
    from ..recipe import Recipe


class SemanticTask(Task):
    """Train label maps by the cross entropy of the hard pixels."""

    class_weights: Tensor | None

    def __init__(self, model: SegmentationNetwork, recipe: Recipe) -> None:
        super().__init__(model, recipe)
        weights = recipe.semantic.class_weights
        if weights is not None and len(weights) != model.spec.classes:
            raise ValueError(
                f"{len(weights)} class_weights; {model.spec.name} has {model.spec.classes} classes"
            )
        if recipe.data.kind != model.spec.dataset:
            raise ValueError(f"{model.spec.name} has other classes than {recipe.data.kind}")
        self.register_buffer(
            "class_weights", None if weights is None else torch.tensor(weights), persistent=False
        )

    def forward(self, batch: DenseBatch, step: int, rank: int = 0) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss of a batch, and its pixel accuracy."""
        image = ((batch.image.float() - self.mean) / self.std).permute(0, 3, 1, 2)
        logits = F.interpolate(
            self.model(image).float(), batch.target.shape[-2:], mode="bilinear", align_corners=False
        )
        options = self.recipe.semantic
        loss = ohem_cross_entropy(
            logits, batch.target, options.ohem_thresh, options.ohem_min_kept, self.class_weights
        )
        return loss, {"accuracy": pixel_accuracy(logits, batch.target)}
