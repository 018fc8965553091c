# SPDX-License-Identifier: Apache-2.0
"""Add a prior of a box's mask to the low-res logits: a rounded box.

Ours, in neither paper. SAM encodes a box as two corner tokens, and millions of images teach the decoder to
use them. With thousands of images the outlines of small boxes come out cells wide of them. Here the decoder
draws the difference to a superellipse, which is exact at any size.

Only a box given alone has the prior. A box beside a point is AutoPPN's estimate: there the prior made
everything mode's masks worse.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: Logit in the middle of the box before training.
HEIGHT = 12.0
#: Half axes of the superellipse of exponent 3 before training, as shares of the box's; of all of them the one
#: that is nearest to people's masks of COCO's objects.
EXTENT = 0.95
#: The shape is 1 in the middle, 0 on the outline, and cut off here outside.
LOWEST = -2.0


class BoxPrior(nn.Module):
    """Logits of the boxes among the prompts; ``height`` of each of the masks, and ``extent``, are learnt."""

    def __init__(self, masks: int = 4) -> None:
        super().__init__()
        self.height = nn.Parameter(torch.full((masks,), HEIGHT))
        self.extent = nn.Parameter(torch.full((1,), EXTENT))

    def forward(self, coords: Tensor, labels: Tensor, size: tuple[int, int]) -> Tensor:
        """Draw.

        Args:
            coords: ``(B, N, 2)`` x, y as fractions of the padded square.
            labels: ``(B, N)``; 2 and 3 are the corners of a box.
            size: (h, w) of the logits.

        Returns:
            ``(B, masks, h, w)``; zeros for a prompt without a box, or with points.
        """
        first, last = ((labels == value).to(coords.dtype)[..., None] for value in (2, 3))
        low, high = (coords * first).sum(1), (coords * last).sum(1)
        middle, reach = (low + high) / 2, (high - low).abs() / 2
        # No thinner than a cell, or a thin box would miss every centre.
        reach = reach.clamp(min=0.5 / min(size)) * self.extent
        rows, columns = (_centres(count, coords) for count in size)
        x = ((columns - middle[:, :1]) / reach[:, :1]).abs()
        y = ((rows - middle[:, 1:]) / reach[:, 1:]).abs()
        shape = (1 - (x * x * x)[:, None, None] - (y * y * y)[:, None, :, None]).clamp(min=LOWEST)
        points = ((labels > -0.5) & (labels < 1.5)).to(coords.dtype).amax(1, keepdim=True)
        has_box = first.amax(1) * last.amax(1) * (1 - points)
        return self.height[:, None, None] * (shape * has_box[..., None, None])


def _centres(count: int, like: Tensor) -> Tensor:
    return (torch.arange(count, device=like.device, dtype=like.dtype) + 0.5)[None] / count
