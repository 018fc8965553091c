# SPDX-License-Identifier: Apache-2.0
"""AutoPPN on a frozen encoder (Lite-SAM, table 3): any model with a 256-channel embedding gets proposals."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..empty_images import KINDS
from .base import Task
from .lite_sam import proposals_of

if TYPE_CHECKING:
    from evitsam_ros.models.sam import Sam

    from ..dataset import Batch
    from ..recipe import Recipe

#: Group of the largest objects, see :func:`training.targets.proposal_targets`.
LARGE = 2


class AutoPpnTask(Task):
    """Train AutoPPN alone."""

    def __init__(self, model: Sam, recipe: Recipe) -> None:
        super().__init__(model, recipe)
        model.requires_grad_(False)
        self.auto_ppn.requires_grad_(True)

    def train(self, mode: bool = True) -> AutoPpnTask:  # noqa: FBT001, FBT002 (torch's signature)
        """The frozen part keeps its batch statistics."""
        super().train(mode)
        self.model.eval()
        self.auto_ppn.train(mode)
        return self

    def forward(self, batch: Batch, step: int, rank: int = 0) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch, ``()`` float32, and numbers to log; see :class:`.base.Task`."""
        batch = self._with_empty_images(batch, step, rank)
        with torch.no_grad():
            embedding, _ = self.model.embed(self.normalised(batch))
        return proposals_of(self, embedding, batch)

    def _with_empty_images(self, batch: Batch, step: int, rank: int) -> Batch:
        """Put images of nothing in the place of some views: there the heat is 0, and large is their group.

        Elsewhere only pixels of masks are labelled, so that no view shows what is no object.
        """
        generator = self.generator(step, rank, 0)
        chosen = torch.rand(len(batch.image), generator=generator) < self.recipe.data.empty
        if not chosen.any():
            return batch
        rng = np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))
        image, heat, group = batch.image.clone(), batch.heat.clone(), batch.group.clone()
        valid, (height, width) = batch.valid.clone(), batch.image.shape[1:3]
        for index in torch.nonzero(chosen)[:, 0].tolist():
            draw = list(KINDS.values())[rng.integers(len(KINDS))]
            image[index] = torch.from_numpy(draw((height, width), rng))
            valid[index] = torch.tensor((height, width))
            heat[index], group[index] = 0, LARGE
        return replace(batch, image=image, valid=valid, heat=heat, group=group)
