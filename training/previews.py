# SPDX-License-Identifier: Apache-2.0
"""Draw the averaged weights' predictions, to monitor a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from evitsam_ros.dense.class_tables import IGNORED, class_table

from .bicubic import double_size
from .inputs import normalise, resized
from .prompting import box_prompts

if TYPE_CHECKING:
    from pathlib import Path

    from evitsam_ros.models.efficientvit.build import AnyNetwork
    from evitsam_ros.models.sam import Sam

    from .dataset import Batch
    from .dense_feed import DenseBatch

ROWS, SIDE = 4, 320
COLOURS = np.array([[66, 135, 245], [245, 130, 48], [60, 180, 75], [230, 25, 75], [145, 30, 180]], np.uint8)


@torch.no_grad()
def write_preview(model: Sam, batch: Batch, path: Path) -> None:
    """Write an image with one row per view: human masks, predicted masks of their boxes, AutoPPN's heat."""
    model = model.eval()
    rows = []
    for index in range(min(ROWS, len(batch.image))):
        rows.append(np.hstack([_truth(batch, index), *_predicted(model, batch, index)]))
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1])


def _truth(batch: Batch, index: int) -> np.ndarray:
    return _overlay(batch.image[index].cpu().numpy(), batch.coverage[index].cpu().numpy() > 0.5)


def _predicted(model: Sam, batch: Batch, index: int) -> list[np.ndarray]:
    one = slice(index, index + 1)
    mean, std = (torch.tensor(v, device=batch.image.device) * 255 for v in (model.spec.mean, model.spec.std))
    embedding, high_res = model.embed(normalise(batch, mean, std)[one])
    before = model.prompt_encoder.embedding_size
    model.prompt_encoder.embedding_size = embedding.shape[-2], embedding.shape[-1]
    coords, labels = box_prompts(batch.boxes[index]).in_frame(batch.prompt_scale)
    cells = batch.coverage.shape[-1]
    no_mask = embedding.new_zeros(1, 1, cells, cells)
    logits, iou = model.decode(embedding, coords, labels, no_mask, no_mask.new_zeros(1), high_res)
    model.prompt_encoder.embedding_size = before
    best = iou[:, 1:].argmax(1) + 1
    masks = (logits[torch.arange(len(best)), best] > 0).cpu().numpy()
    image = batch.image[index].cpu().numpy()
    panels = [_overlay(image, masks)]
    if model.auto_ppn is not None:
        heat = resized(model.auto_ppn(embedding)[0], SIDE)[0, 0].clamp(0, 1)
        panels.append(cv2.applyColorMap((heat.cpu().numpy() * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS))
    return panels


def _overlay(image: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Blend ``(M, h, w)`` masks into ``(S, S, 3)``, at ``SIDE`` pixels."""
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    for number, mask in enumerate(masks):
        inside = cv2.resize(mask.astype(np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_NEAREST) > 0
        small[inside] = small[inside] // 2 + COLOURS[number % len(COLOURS)] // 2
    return small


@torch.no_grad()
def write_dense_preview(model: AnyNetwork, batch: DenseBatch, path: Path) -> None:
    """Write an image with one row per view.

    Semantic segmentation: image, labels, prediction. Super-resolution: bicubic, prediction, original.
    """
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
