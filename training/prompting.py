# SPDX-License-Identifier: Apache-2.0
"""Turn the masks of a batch into prompts: boxes, points, or a point in a box."""

from __future__ import annotations

import torch
from torch import Tensor


def box_prompts(
    boxes: Tensor, jitter: float = 0.0, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """``(B, 4)`` boxes -> corners ``(B, 2, 2)`` and labels 2, 3; ``jitter`` moves sides by that share."""
    size = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    boxes = boxes + (torch.rand(boxes.shape, generator=generator) - 0.5) * 2 * jitter * size
    return boxes.view(-1, 2, 2), torch.tensor([2.0, 3.0]).expand(len(boxes), 2)


def point_prompts(points: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The first ``count`` of ``(B, N, 2)`` foreground points, and SAM's padding point behind them."""
    padding = torch.zeros(len(points), 1, 2)
    labels = torch.tensor([1.0] * count + [-1.0]).expand(len(points), count + 1)
    return torch.cat([points[:, :count], padding], dim=1), labels


def point_in_box_prompts(
    points: Tensor, boxes: Tensor, jitter: float = 0.0, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """What AutoPPN sends: the first point, then the corners of the box."""
    corners, labels = box_prompts(boxes, jitter, generator)
    coords = torch.cat([points[:, :1], corners], dim=1)
    return coords, torch.cat([torch.ones(len(points), 1), labels], dim=1)
