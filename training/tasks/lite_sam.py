# SPDX-License-Identifier: Apache-2.0
"""Train Lite-SAM jointly (section 4.2): masks and proposals from one embedding, ``L_ppn + L_mask``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..geometry import KINDS, geometry_loss
from ..losses import proposal_loss
from .sam import SamTask

if TYPE_CHECKING:
    from torch import Tensor

    from ..dataset import Batch
    from .base import Task


class LiteSamTask(SamTask):
    """Train masks and proposals jointly."""

    def forward(self, batch: Batch, step: int, rank: int = 0) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch, ``()`` float32, and numbers to log; see :class:`.base.Task`."""
        batch = self.with_empty_images(batch, step, rank)
        encoded = self.encode(batch)
        embedding = encoded.embedding
        loss, numbers = self.losses_of(encoded, batch, step, rank)
        if not self.heads_only:
            proposals, more = proposals_of(self, embedding, batch)
            loss, numbers = loss + proposals, numbers | more
        geometry = self.recipe.geometry
        if geometry.rehearse:
            # Small boxes are rare in images: repeat the warm-up's prompts so that they are not forgotten.
            kind, generator = KINDS[step % len(KINDS)], self.generator(step, rank, 3)
            rehearsal, _ = geometry_loss(self.model, geometry.rehearse, embedding.shape[-1], kind, generator)
            loss = loss + geometry.rehearse_weight * rehearsal
        return loss, numbers


def proposals_of(task: Task, embedding: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute equation 1 on an embedding ``(B, 256, h, w)``: the weighted loss, and its two parts."""
    losses = task.recipe.losses
    heat, box = task.auto_ppn.logits(embedding)
    targets = (batch.heat, batch.distances, batch.group)
    heat_loss, box_loss = proposal_loss(
        heat.float(), box.float(), *targets, kind=losses.heat, grouping=losses.grouping
    )
    return losses.heat_weight * heat_loss + losses.box_weight * box_loss, {"heat": heat_loss, "box": box_loss}
