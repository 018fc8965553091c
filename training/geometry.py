# SPDX-License-Identifier: Apache-2.0
"""Teach the mask decoder the geometry of prompts on noise, before it is trained on images.

From a cold start the decoder ignores its prompts for thousands of images. Some minutes on noise embeddings
(the target of a box is its inscribed ellipse, of a point a disc) teach it the geometry; joint training
continues from there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from .losses import MaskLossWeights, mask_loss
from .prompting import PromptSet, box_prompts, outside_boxes, point_in_box_prompts, point_prompts

if TYPE_CHECKING:
    from evitsam_ros.models.sam import Sam

    from .recipe import Geometry

#: Radius of the target disc around a single point, as a fraction of the side.
POINT_RADIUS = 0.12
#: Min side of boxes: initially a share of the image's side, finally in cells of the embedding. If it starts
#: with small boxes, the decoder collapses to empty masks.
INITIAL_MIN_SIDE, FINAL_MIN_CELLS = 0.3, 0.75
#: Share of the warm-up after which the final min side is reached.
SMALLEST_FROM = 0.5
WEIGHTS = MaskLossWeights(pixel="sized_bce", pixel_weight=1.0, outside_weight=4.0, other_masks=1.0)
KINDS = ("box", "point", "box", "point in box")


def axis_frequencies(features: int, lowest: float, highest: float) -> Tensor:
    """Make a matrix ``(2, features)`` for SAM's Fourier features with waves along x or y only.

    SAM's directions are random. A box is four conditions on x or y alone, which a head of 16 channels can
    represent only with waves along these axes: from a cold start this halves the number of steps. Frequencies
    are cycles over half of the image, evenly spaced on a logarithmic axis.
    """
    half = features // 2
    waves = lowest * (highest / lowest) ** (torch.arange(half) / (half - 1))
    matrix = torch.zeros(2, features)
    matrix[0, :half], matrix[1, half:] = waves, waves
    return matrix


def synthetic_prompts(
    count: int, side: float, kind: str, smallest: float, generator: torch.Generator
) -> tuple[PromptSet, Tensor]:
    """Sample prompts of one kind, and their ellipses ``(B, 4)`` cx cy rx ry, all in pixels.

    ``smallest`` is the side of the smallest boxes as a fraction of ``side``; sizes are log-uniform.
    """
    uniform = torch.rand(count, 6, generator=generator)
    mean, aspect = smallest * (0.9 / smallest) ** uniform[:, 0], 2 ** (1.6 * uniform[:, 1] - 0.8)
    size = side * torch.stack([mean * aspect, mean / aspect], dim=1).clamp(max=0.98)
    centre = size / 2 + uniform[:, 2:4] * (side - size)
    inside = (centre + (uniform[:, 4:] - 0.5) * size * 0.7)[:, None]
    boxes = torch.cat([centre - size / 2, centre + size / 2], dim=1)
    ellipse = torch.cat([centre, size / 2], dim=1)
    if kind == "box":
        return box_prompts(boxes), ellipse
    if kind == "point in box":
        return point_in_box_prompts(inside, boxes), ellipse
    disc = torch.cat([inside[:, 0], torch.full((count, 2), POINT_RADIUS * side)], dim=1)
    return point_prompts(inside, 1), disc


def ellipse_masks(ellipses: Tensor, cells: int, side: float) -> Tensor:
    """Draw ellipses ``(B, 4)`` as coverage ``(B, cells, cells)`` in 0..1, four samples per cell and axis."""
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
    kind: str,
    generator: torch.Generator,
    smallest: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Compute loss and ``(B,)`` IoU of synthetic prompts on a noise embedding of ``grid`` x ``grid``."""
    encoder = model.prompt_encoder
    before = encoder.embedding_size
    side = float(encoder.prompt_size)
    smallest = FINAL_MIN_CELLS / grid if smallest is None else smallest
    prompts, ellipses = synthetic_prompts(batch, side, kind, smallest, generator)
    noise = F.layer_norm(torch.randn(1, grid, grid, 256, generator=generator), (256,)).permute(0, 3, 1, 2)
    device = encoder.no_mask_embed.weight.device
    coords, labels = prompts.coords.to(device), prompts.labels.to(device)
    no_mask = torch.zeros(1, 1, 4 * grid, 4 * grid, device=device)
    encoder.embedding_size = (grid, grid)
    logits, iou = model.decode(noise.to(device), coords, labels, no_mask, no_mask.new_zeros(1))
    encoder.embedding_size = before
    target = ellipse_masks(ellipses, 4 * grid, side).to(device)
    everyone = torch.ones(batch, dtype=torch.bool, device=device)
    outside = None
    if kind != "point":
        boxes = torch.cat([ellipses[:, :2] - ellipses[:, 2:], ellipses[:, :2] + ellipses[:, 2:]], dim=1)
        outside = outside_boxes(boxes, 4 * grid, side).to(device)
    return mask_loss(logits[:, 1:].float(), iou[:, 1:].float(), target, everyone, WEIGHTS, outside)


def grid_at(grids: tuple[int, ...], step: int, steps: int) -> int:
    """Return the embedding side of a step: coarse ones first, then alternating with finer ones."""
    reached = min(len(grids) - 1, len(grids) * step // steps)
    return grids[reached if step % 2 else max(0, reached - 1)]


def warm_up(model: Sam, options: Geometry, seed: int = 0) -> float:
    """Train prompt encoder and mask decoder on noise embeddings; return the last running IoU.

    The image encoder is not changed.
    """
    steps, grids, lr = options.steps, options.grids, options.lr
    generator = torch.Generator().manual_seed(seed)
    heads = [*model.prompt_encoder.parameters(), *model.mask_decoder.parameters()]
    optimiser = torch.optim.AdamW(heads, lr=lr, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=steps, pct_start=0.1)
    model.train()
    running = 0.0
    bar = tqdm(range(steps), desc="geometry", unit="step", mininterval=5)
    for step in bar:
        grid, kind = grid_at(grids, step, steps), KINDS[step // 2 % len(KINDS)]
        progress = min(1.0, step / steps / SMALLEST_FROM)
        smallest = INITIAL_MIN_SIDE * (FINAL_MIN_CELLS / grid / INITIAL_MIN_SIDE) ** progress
        loss, ranked = geometry_loss(model, options.batch, grid, kind, generator, smallest)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(heads, 1.0)
        optimiser.step()
        schedule.step()
        running += (ranked.mean().item() - running) * min(1.0, 2 / (step + 2) + 0.02)
        bar.set_postfix(iou=f"{running:.3f}", loss=f"{loss.item():.3f}", grid=grid, refresh=False)
    return running
