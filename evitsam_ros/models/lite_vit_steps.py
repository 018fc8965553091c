# SPDX-License-Identifier: Apache-2.0
"""The rows of Lite-SAM's table 1: widths of LiteViT, and the blocks (1) to (4) of figure 3.

A reconstruction. The text of the paper does not describe the blocks. Each step is the change that the
table's parameters, multiply-adds and latency leave open:

1. PoolFormer's block: group norm, 3x3 average pool, minus the input (timm's PoolFormer-S12).
2. Batch norm in place of group norm: no parameter is added, and the latency falls (8.4 to 8.1 ms).
3. Pools of 3, 5 and 7 pixels, averaged: no parameter and no multiply-add is added, and the latency grows
   (8.1 to 8.6 ms). Section 3.2 calls this multiscale pooling.
4. A 3x3 depthwise convolution beside the pools: 0.01 M parameters and 0.1 GMAC are added (8.7 ms).
5. :class:`.lite_vit.LiteViTBlock`: a learned weight a pool and channel, and the norm after the mixing. All of
   it merges into one depthwise convolution, and the latency falls (8.6 ms).

The pruned widths 32, 64, 96 and 128 in LiteViT's own depths give 0.62 M parameters where the table has 0.54.
One block moved from stage 3 to stage 1, and a neck as wide as the last stage, give 0.54 M and 4.2 GMAC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import NORM_EPS, bias_of

if TYPE_CHECKING:
    from collections.abc import Sequence

STRIDES = (2, 2, 2, 2)
#: The step of figure 3 that is LiteViT's own block.
FINAL_STEP = 5


@dataclass(frozen=True)
class Layout:
    """Layers of one LiteViT.

    Attributes:
        widths, depths: channels and number of blocks of each stage.
        neck: channels inside the neck.
        step: block of figure 3, 1 to 5.
    """

    widths: tuple[int, int, int, int] = (64, 96, 128, 256)
    depths: tuple[int, int, int, int] = (3, 1, 4, 1)
    neck: int = 144
    step: int = FINAL_STEP


#: The published sizes, then the ablations, by name.
LAYOUTS = {
    "x1": Layout(),
    "x2": Layout((96, 128, 192, 384)),
    "x3": Layout((128, 160, 256, 512)),
    "tiny": Layout((32, 64, 96, 128), (4, 1, 3, 1), neck=128, step=1),
    **{f"step{step}": Layout(step=step) for step in range(1, FINAL_STEP)},
}


class PoolingBlock(nn.Module):
    """``x + g1 * Mix(Norm(x))``, then ``x + g2 * ConvMLP(Norm(x))``; shape-preserving ``(B, C, H, W)``.

    ``Mix(y)`` is the mean of the pools of y, minus y, plus the depthwise convolution of y where there is one.

    Args:
        width: channels.
        kernels: sides of the average pools, odd, of stride 1; padding does not count.
        norm: ``group`` (one group) or ``batch``.
        local: with a 3x3 depthwise convolution.
        mlp_ratio: hidden channels of the MLP by channels.
    """

    def __init__(
        self, width: int, kernels: Sequence[int], norm: str, *, local: bool, mlp_ratio: int = 2
    ) -> None:
        super().__init__()
        self.kernels = tuple(kernels)
        self.mix_norm, self.mlp_norm = _norm(norm, width), _norm(norm, width)
        self.local = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False) if local else None
        self.mix_scale = nn.Parameter(torch.ones(width))
        self.expand = nn.Conv2d(width, mlp_ratio * width, 1)
        self.project = nn.Conv2d(mlp_ratio * width, width, 1)
        self.mlp_scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mix(self.mix_norm(x)) * self.mix_scale[:, None, None]
        hidden = F.gelu(self.expand(self.mlp_norm(x)))
        weight = self.project.weight * self.mlp_scale[:, None, None, None]
        return x + F.conv2d(hidden, weight, bias_of(self.project) * self.mlp_scale)

    def mix(self, x: Tensor) -> Tensor:
        """Pool ``(B, C, H, W)`` at every scale and return the mean's difference from x."""
        pools = [F.avg_pool2d(x, k, 1, k // 2, count_include_pad=False) for k in self.kernels]
        mixed = sum(pools[1:], pools[0]) / len(pools) - x
        return mixed if self.local is None else mixed + self.local(x)

    def fold(self) -> PoolingBlock:
        """Return this block: padding that does not count and group norms do not fold."""
        return self


def pooling_block(step: int, width: int) -> PoolingBlock:
    """Build block (1), (2), (3) or (4) of figure 3."""
    kernels = (3,) if step < 3 else (3, 5, 7)
    return PoolingBlock(width, kernels, "group" if step == 1 else "batch", local=step == 4)


def _norm(kind: str, width: int) -> nn.Module:
    return nn.GroupNorm(1, width) if kind == "group" else nn.BatchNorm2d(width, eps=NORM_EPS)
