# SPDX-License-Identifier: Apache-2.0
"""What the averaged weights make of a batch without prompts, as an image to look at while a run goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from evitsam_ros.dense.class_tables import IGNORED, class_table

from .halving import double_size
from .previews import ROWS

if TYPE_CHECKING:
    from pathlib import Path

    from evitsam_ros.models.efficientvit.build import AnyNetwork

    from .dense_feed import DenseBatch


@torch.no_grad()
def write_dense_preview(model: AnyNetwork, batch: DenseBatch, path: Path) -> None:
    """Every row a view. Semantic: image, labels, prediction. Upscale: bicubic, prediction, original."""
    model = model.eval()
    image = batch.image[:ROWS]
    mean, std = (torch.tensor(v, device=image.device) * 255 for v in (model.spec.mean, model.spec.std))
    output = model(((image.float() - mean) / std).permute(0, 3, 1, 2)).float()
    views, targets = image.cpu().numpy(), batch.target[:ROWS].cpu().numpy()
    if model.spec.kind == "semantic":
        palette = class_table(model.spec.dataset).palette
        full = F.interpolate(output, views.shape[1:3], mode="bilinear").argmax(1).cpu().numpy()
        truth = np.where(targets == IGNORED, 0, targets + np.uint8(1))
        panels = [views, palette[truth], palette[full + 1]]
    else:
        made = (output.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        panels = [np.stack([double_size(view) for view in views]), made, targets]
    rows = np.concatenate(panels, axis=2).reshape(-1, sum(panel.shape[2] for panel in panels), 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), rows[..., ::-1])
