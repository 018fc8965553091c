# SPDX-License-Identifier: Apache-2.0
"""Train super-resolution: L1 between the network's image and the original."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

from .base import Task

if TYPE_CHECKING:
    from torch import Tensor

    from ..dense_feed import DenseBatch


class UpscaleTask(Task):
    """Train super-resolution by L1 loss on the image at twice the resolution."""

    def forward(self, batch: DenseBatch, step: int, rank: int = 0) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss of a batch, and its PSNR in dB."""
        image = ((batch.image.float() - self.mean) / self.std).permute(0, 3, 1, 2)
        target = batch.target.permute(0, 3, 1, 2).float() / 255
        prediction = self.model(image).float()
        loss = F.l1_loss(prediction, target)
        mse = F.mse_loss(prediction.detach(), target).clamp(min=1e-10)
        return loss, {"psnr": -10 * mse.log10()}
