# SPDX-License-Identifier: Apache-2.0
"""What the averaged weights draw, as an image for monitoring a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from .inputs import normalise, resized
from .prompting import box_prompts

if TYPE_CHECKING:
    from pathlib import Path

    from evitsam_ros.models.sam import Sam

    from .dataset import Batch

ROWS, SIDE = 4, 320
COLOURS = np.array([[66, 135, 245], [245, 130, 48], [60, 180, 75], [230, 25, 75], [145, 30, 180]], np.uint8)


@torch.no_grad()
def write_preview(model: Sam, batch: Batch, path: Path) -> None:
    """Every row a view: the human masks, what the model draws into their boxes, the heat of AutoPPN."""
    model = model.eval()
    rows = []
    for index in range(min(ROWS, len(batch.image))):
        rows.append(np.hstack([_truth(batch, index), *_drawn(model, batch, index)]))
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1])


def _truth(batch: Batch, index: int) -> np.ndarray:
    return _overlay(batch.image[index].cpu().numpy(), batch.coverage[index].cpu().numpy() > 0.5)


def _drawn(model: Sam, batch: Batch, index: int) -> list[np.ndarray]:
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
    """``(S, S, 3)`` with ``(M, h, w)`` masks in colours, at ``SIDE`` pixels."""
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    for number, mask in enumerate(masks):
        inside = cv2.resize(mask.astype(np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_NEAREST) > 0
        small[inside] = small[inside] // 2 + COLOURS[number % len(COLOURS)] // 2
    return small
