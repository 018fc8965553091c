# SPDX-License-Identifier: Apache-2.0
"""Distil a teacher's image embedding into a student (EfficientViT-SAM, section 3.2: L2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..inputs import resized
from ..teachers import open_teacher
from .base import Task

if TYPE_CHECKING:
    from evitsam_ros.models.sam import Sam

    from ..dataset import Batch
    from ..recipe import Recipe


class DistillTask(Task):
    """Distil on one view per image; student and teacher each read it in their own size."""

    def __init__(self, model: Sam, recipe: Recipe) -> None:
        super().__init__(model, recipe)
        model.requires_grad_(False)
        model.image_encoder.requires_grad_(True)
        if recipe.teacher is None:
            raise ValueError("the task 'distill' needs a teacher")
        self.teacher = open_teacher(recipe.teacher)
        self.proposals_weight = recipe.teacher.proposals_weight
        if self.proposals_weight > 0:
            if model.auto_ppn is None or self.teacher.auto_ppn is None:
                raise ValueError("proposals_weight > 0 needs an AutoPPN in the student and in the teacher")
            model.auto_ppn.requires_grad_(True)

    def forward(self, batch: Batch, step: int, rank: int = 0) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch, ``()`` float32, and numbers to log; see :class:`.base.Task`."""
        with torch.no_grad():
            target = self.teacher.embed(batch)
        side = min(batch.image.shape[1], self.model.spec.image_size)
        embedding, _ = self.model.embed(resized(self.normalised(batch), side))
        distance = F.mse_loss(embedding.float(), resized(target.float(), embedding.shape[-1]))
        loss, numbers = distance, {"distance": distance}
        if self.proposals_weight > 0:
            following = self._proposals(embedding, target)
            loss, numbers["proposals"] = loss + self.proposals_weight * following, following
        return loss, numbers

    def _proposals(self, embedding: Tensor, target: Tensor) -> Tensor:
        heat, box = self.auto_ppn(embedding)
        with torch.no_grad():
            target_heat, target_box = cast("nn.Module", self.teacher.auto_ppn)(target)
        cells = heat.shape[-1]
        return F.mse_loss(heat.float(), resized(target_heat.float(), cells)) + F.smooth_l1_loss(
            box.float(), resized(target_box.float(), cells)
        )
