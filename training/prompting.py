# SPDX-License-Identifier: Apache-2.0
"""Convert the masks of a batch to prompts: boxes, points, a point in a box, and clicks at errors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PromptSet:
    """Hold ``B`` prompts of ``N`` tokens: ``(B, N, 2)`` coords in pixels of the view, ``(B, N)`` labels
    (SAM's).
    """

    coords: Tensor
    labels: Tensor

    def in_frame(self, scale: float) -> tuple[Tensor, Tensor]:
        """Return coordinates in the prompt frame, with pixels of ``1 / scale`` of the view's, and labels.

        Pixel centres map to pixel centres: the half pixel that the prompt encoder adds is kept.
        """
        return (self.coords + 0.5) * scale - 0.5, self.labels


def box_prompts(boxes: Tensor, jitter: float = 0.0, generator: torch.Generator | None = None) -> PromptSet:
    """Convert ``(B, 4)`` boxes to corners; ``jitter`` moves each side by up to that share of the size."""
    size = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    noise = torch.rand(boxes.shape, generator=generator).to(boxes.device)
    boxes = boxes + (noise - 0.5) * 2 * jitter * size
    return PromptSet(boxes.view(-1, 2, 2), boxes.new_tensor([2.0, 3.0]).expand(len(boxes), 2))


def outside_boxes(boxes: Tensor, cells: int, view: float) -> Tensor:
    """Return ``(B, cells, cells)`` bool: the cells of a view outside ``(B, 4)`` boxes in its pixels."""
    side = view / cells
    edge = torch.arange(cells, device=boxes.device) * side
    beside = (edge + side <= boxes[:, None, 0, None]) | (edge >= boxes[:, None, 2, None])
    beyond = (edge[:, None] + side <= boxes[:, 1, None, None]) | (edge[:, None] >= boxes[:, 3, None, None])
    return beside | beyond


def point_prompts(points: Tensor, count: int) -> PromptSet:
    """Return the first ``count`` of ``(B, N, 2)`` foreground points, followed by SAM's padding point."""
    padding = points.new_zeros(len(points), 1, 2)
    labels = points.new_tensor([1.0] * count + [-1.0]).expand(len(points), count + 1)
    return PromptSet(torch.cat([points[:, :count], padding], dim=1), labels)


def no_prompts(like: PromptSet) -> PromptSet:
    """Return only SAM's padding point for each prompt, as beside a mask prompt without points or box."""
    coords = torch.zeros_like(like.coords[:, :1])
    return PromptSet(coords, torch.full_like(like.labels[:, :1], -1.0))


def point_in_box_prompts(
    points: Tensor, boxes: Tensor, jitter: float = 0.0, generator: torch.Generator | None = None
) -> PromptSet:
    """Return the tokens of an AutoPPN proposal: the first point, then the corners of the box."""
    corners = box_prompts(boxes, jitter, generator)
    labels = torch.cat([points.new_ones(len(points), 1), corners.labels], dim=1)
    return PromptSet(torch.cat([points[:, :1], corners.coords], dim=1), labels)


def click_at_error(
    prompts: PromptSet, logits: Tensor, truth: Tensor, generator: torch.Generator, view: float
) -> PromptSet:
    """Add a click to each prompt, uniform over the error region of its mask ("Segment Anything", appendix A).

    Args:
        prompts: ``B`` prompts.
        logits: ``(B, h, w)`` of their masks; a prompt without an error gets another foreground point.
        truth: ``(B, h, w)`` coverage.
        generator: random numbers.
        view: side of the view in pixels.
    """
    target = truth > 0.5
    error = (logits > 0) != target
    region = torch.where(error.flatten(1).any(1)[:, None, None], error, truth >= truth.amax((1, 2), True))
    cells = torch.multinomial(region.flatten(1).float().cpu(), 1, generator=generator)[:, 0].to(truth.device)
    rows, columns = cells // truth.shape[2], cells % truth.shape[2]
    clicks = (torch.stack([columns, rows], dim=1) + 0.5) * (view / truth.shape[2]) - 0.5
    labels = target.flatten(1).gather(1, cells[:, None]).to(prompts.labels.dtype)
    labels = torch.where(error.flatten(1).any(1)[:, None], labels, torch.ones_like(labels))
    return PromptSet(
        torch.cat([prompts.coords, clicks[:, None].to(prompts.coords.dtype)], dim=1),
        torch.cat([prompts.labels, labels], dim=1),
    )
