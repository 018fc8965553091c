# SPDX-License-Identifier: Apache-2.0
"""Teach the mask decoder what a prompt means before it sees a picture.

From a cold start the decoder ignores its prompts for thousands of images. Some minutes on noise
embeddings (a box is its inscribed ellipse, a point is a disc) give it the geometry; joint training then
starts from there.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from evitsam_ros.models.sam import Sam

from .losses import MaskLossWeights, mask_loss

#: Radius of the disc around a lone point, as a fraction of the side.
POINT_RADIUS = 0.12
#: Sides of the smallest boxes, as a fraction of the picture's: at the start of the warm-up, and in the end.
#: Begun with small boxes, the decoder learns to predict nothing and stays there.
LARGE_ENOUGH, SMALLEST = 0.3, 0.025
WEIGHTS = MaskLossWeights(pixel="sized_bce", pixel_weight=1.0, others=1.0)


def synthetic_prompts(
    count: int, side: float, generator: torch.Generator, smallest: float = SMALLEST
) -> tuple[Tensor, Tensor, Tensor]:
    """Random boxes and points: coords ``(B, 3, 2)``, labels ``(B, 3)`` and ellipses ``(B, 4)`` cx cy rx ry.

    Half are boxes (corners, then padding), a quarter a box with a point inside, a quarter a lone point.
    """
    uniform = torch.rand(count, 6, generator=generator)
    # Sizes are log-uniform: in the end half of the boxes are smaller than a sixth of the picture.
    mean, aspect = smallest * (0.9 / smallest) ** uniform[:, 0], 2 ** (1.6 * uniform[:, 1] - 0.8)
    size = side * torch.stack([mean * aspect, mean / aspect], dim=1).clamp(max=0.98)
    centre = size / 2 + uniform[:, 2:4] * (side - size)
    inside = centre + (uniform[:, 4:] - 0.5) * size * 0.7
    low, high = centre - size / 2, centre + size / 2
    kind = torch.arange(count) % 4
    coords = torch.stack([inside, low, high], dim=1)
    labels = torch.tensor([1.0, 2.0, 3.0]).repeat(count, 1)
    labels[kind < 2, 0] = -1
    labels[kind == 3, 1:] = -1
    coords = torch.where(labels[..., None] == -1, torch.zeros_like(coords), coords)
    ellipse = torch.cat([centre, size / 2], dim=1)
    disc = torch.cat([inside, torch.full_like(inside, POINT_RADIUS * side)], dim=1)
    return coords, labels, torch.where((kind == 3)[:, None], disc, ellipse)


def ellipse_masks(ellipses: Tensor, cells: int, side: float) -> Tensor:
    """Filled ellipses ``(B, 4)`` as coverage ``(B, cells, cells)`` in 0..1, four samples a cell and axis."""
    fine = cells * 4
    positions = (torch.arange(fine) + 0.5) * side / fine
    dx = (positions[None] - ellipses[:, None, 0]) / ellipses[:, None, 2]
    dy = (positions[None] - ellipses[:, None, 1]) / ellipses[:, None, 3]
    inside = (dx.pow(2)[:, None, :] + dy.pow(2)[:, :, None] <= 1).float()
    return F.avg_pool2d(inside[:, None], 4)[:, 0]


def geometry_loss(
    model: Sam,
    batch: int,
    grid: int,
    generator: torch.Generator,
    smallest: float = SMALLEST,
    bfloat16: bool = True,
) -> tuple[Tensor, Tensor]:
    """Loss and ``(B,)`` IoU of a batch of synthetic prompts on a noise embedding of ``grid`` x ``grid``."""
    encoder = model.prompt_encoder
    before = encoder.embedding_size, encoder.prompt_size
    side = float(encoder.prompt_size)
    coords, labels, ellipses = synthetic_prompts(batch, side, generator, smallest)
    noise = F.layer_norm(torch.randn(1, grid, grid, 256, generator=generator), (256,)).permute(0, 3, 1, 2)
    encoder.embedding_size = (grid, grid)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        no_mask = torch.zeros(1, 1, 4 * grid, 4 * grid)
        logits, iou = model.decode(noise, coords, labels, no_mask, torch.zeros(1))
    encoder.embedding_size, encoder.prompt_size = before
    target = ellipse_masks(ellipses, 4 * grid, side)
    everyone = torch.ones(batch, dtype=torch.bool)
    return mask_loss(logits[:, 1:].float(), iou[:, 1:].float(), target, everyone, WEIGHTS)


def warm_up(model: Sam, steps: int, batch: int, grids: tuple[int, ...], lr: float, seed: int = 0) -> float:
    """Train prompt encoder and mask decoder on noise embeddings; returns the last running IoU.

    ``grids`` are the sides of the embeddings to alternate between. The image encoder is not touched.
    """
    generator = torch.Generator().manual_seed(seed)
    heads = [*model.prompt_encoder.parameters(), *model.mask_decoder.parameters()]
    optimiser = torch.optim.AdamW(heads, lr=lr, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=steps, pct_start=0.1)
    model.train()
    running = 0.0
    bar = tqdm(range(steps), desc="geometry", unit="step", mininterval=5)
    for step in bar:
        progress = min(1.0, 1.5 * step / steps)
        smallest = LARGE_ENOUGH * (SMALLEST / LARGE_ENOUGH) ** progress
        loss, ranked = geometry_loss(model, batch, grids[step % len(grids)], generator, smallest)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(heads, 1.0)
        optimiser.step()
        schedule.step()
        running += (ranked.mean().item() - running) * min(1.0, 2 / (step + 2) + 0.02)
        bar.set_postfix(iou=f"{running:.3f}", loss=f"{loss.item():.3f}")
    return running
