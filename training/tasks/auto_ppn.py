# SPDX-License-Identifier: Apache-2.0
"""Train AutoPPN on a frozen encoder (Lite-SAM, table 3), for any model with a 256-channel embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..empty_images import replace_views
from .base import Task
from .lite_sam import proposals_of

if TYPE_CHECKING:
    from evitsam_ros.models.sam import Sam

    from ..dataset import Batch
    from ..recipe import Recipe


class AutoPpnTask(Task):
    """Train only AutoPPN."""

    def __init__(self, model: Sam, recipe: Recipe) -> None:
        super().__init__(model, recipe)
        model.requires_grad_(False)
        self.auto_ppn.requires_grad_(True)

    def train(self, mode: bool = True) -> AutoPpnTask:  # noqa: FBT001, FBT002 (torch's signature)
        """Set training mode; the frozen part keeps its batch statistics."""
        super().train(mode)
        self.model.eval()
        self.auto_ppn.train(mode)
        return self

    def forward(self, batch: Batch, step: int, rank: int = 0) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch, ``()`` float32, and numbers to log; see :class:`.base.Task`."""
        batch = replace_views(batch, self.recipe.data.empty, self.generator(step, rank, 0))
        with torch.no_grad():
            embedding, _ = self.model.embed(self.normalised(batch))
        return proposals_of(self, embedding, batch)
