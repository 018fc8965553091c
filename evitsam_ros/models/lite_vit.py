# SPDX-License-Identifier: Apache-2.0
"""LiteViT, the image encoder of Lite-SAM (paper section 3.2, table 1).

A reconstruction: the paper publishes widths, parameters and multiply-adds, not the depths, strides or
the neck. This layout meets the published counts (1.16 M parameters and 10.9 GMAC at 640x640; 2.19 M and
3.63 M for the two larger sizes) within 1 %; other layouts would meet them too. Where the paper is silent
(order of normalisation, padding of the pools) the choice is the one that folds exactly: in deployed form
a block is one 7x7 depthwise and two 1x1 convolutions.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import NORM_EPS, LayerNorm2d, bias_of, bn_affine, conv_bn, fold_conv_bn
from .lite_vit_steps import FINAL_STEP, LAYOUTS, STRIDES, pooling_block
from .multi_scale_pooling import MultiScalePooling

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class LiteViTBlock(nn.Module):
    """``x + g1 * BN(MSPM(x))``, then ``x + g2 * ConvMLP(BN(x))``; shape-preserving ``(B, C, H, W)``."""

    def __init__(self, width: int, mlp_ratio: int = 2) -> None:
        super().__init__()
        self.mix = MultiScalePooling(width)
        self.mix_norm = nn.BatchNorm2d(width, eps=NORM_EPS)
        self.mix_scale = nn.Parameter(torch.ones(width))
        self.mlp_norm = nn.BatchNorm2d(width, eps=NORM_EPS)
        self.expand = nn.Conv2d(width, mlp_ratio * width, 1)
        self.project = nn.Conv2d(mlp_ratio * width, width, 1)
        self.mlp_scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._scaled_mix_norm(self.mix(x))
        hidden = F.gelu(self.expand(self.mlp_norm(x)))
        weight = self.project.weight * self.mlp_scale[:, None, None, None]
        return x + F.conv2d(hidden, weight, bias_of(self.project) * self.mlp_scale)

    def _scaled_mix_norm(self, x: Tensor) -> Tensor:
        # The layer scale rides on the affine part of the normalisation: one pass over the map less.
        norm = self.mix_norm
        weight, bias = norm.weight * self.mix_scale, norm.bias * self.mix_scale
        mean, variance = norm.running_mean, norm.running_var
        return F.batch_norm(x, mean, variance, weight, bias, norm.training, norm.momentum or 0.0, norm.eps)

    @torch.no_grad()
    def fold(self) -> FoldedLiteViTBlock:
        """The same function in evaluation mode as one depthwise and two 1x1 convolutions."""
        folded = FoldedLiteViTBlock(self.mix.channels, self.expand.out_channels, max(self.mix.kernels))
        scale, shift = bn_affine(self.mix_norm)
        kernel = self.mix.kernel() * (self.mix_scale * scale)[:, None, None, None]
        centre = kernel.shape[-1] // 2
        kernel[:, 0, centre, centre] += 1.0
        folded.mix.weight.copy_(kernel)
        bias_of(folded.mix).copy_(self.mix_scale * shift)
        scale, shift = bn_affine(self.mlp_norm)
        folded.expand.weight.copy_(self.expand.weight * scale[None, :, None, None])
        bias_of(folded.expand).copy_(bias_of(self.expand) + self.expand.weight[:, :, 0, 0] @ shift)
        folded.project.weight.copy_(self.project.weight * self.mlp_scale[:, None, None, None])
        bias_of(folded.project).copy_(bias_of(self.project) * self.mlp_scale)
        return folded


class FoldedLiteViTBlock(nn.Module):
    """The deployed form of :class:`LiteViTBlock`."""

    def __init__(self, width: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width)
        self.expand = nn.Conv2d(width, hidden, 1)
        self.project = nn.Conv2d(hidden, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mix(x)
        return x + self.project(F.gelu(self.expand(x)))


class LiteViTNeck(nn.Module):
    """Fuse the stages of stride 4, 8 and 16 into the ``(B, 256, H/16, W/16)`` embedding.

    The form of EfficientViT-SAM's neck: 1x1 laterals, sum, one residual fused MBConv, 1x1, LayerNorm2d.
    Pooling comes before the 1x1 laterals: the two commute, and it costs a sixteenth.
    """

    def __init__(
        self, widths: Sequence[int], inner: int, outputs: int = 256, pools: Sequence[int] = (4, 2, 1)
    ) -> None:
        super().__init__()
        self.pools = tuple(pools)
        self.laterals = nn.ModuleList(conv_bn(width, inner, 1) for width in widths)
        self.spatial: nn.Module = conv_bn(inner, inner, 3, padding=1)
        self.point: nn.Module = conv_bn(inner, inner, 1)
        self.output = nn.Conv2d(inner, outputs, 1)
        self.norm = LayerNorm2d(outputs)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        fused = None
        for lateral, feature, pool in zip(self.laterals, features, self.pools, strict=True):
            pooled = F.avg_pool2d(feature, pool) if pool > 1 else feature
            fused = lateral(pooled) if fused is None else fused + lateral(pooled)
        fused = fused + self.point(F.gelu(self.spatial(fused)))
        return self.norm(self.output(fused))

    def fold_(self) -> None:
        self.laterals = nn.ModuleList(fold_conv_bn(lateral) for lateral in self.laterals)
        self.spatial, self.point = fold_conv_bn(self.spatial), fold_conv_bn(self.point)


def _block(step: int, width: int) -> nn.Module:
    """Build the block of one step of figure 3."""
    return LiteViTBlock(width) if step == FINAL_STEP else pooling_block(step, width)


class LiteViT(nn.Module):
    """``(B, 3, S, S)`` normalised float32 RGB -> ``(B, 256, S/16, S/16)``; S a multiple of 16.

    Args:
        size: a published size or an ablation of table 1, see :data:`.lite_vit_steps.LAYOUTS`.
    """

    def __init__(self, size: str = "x1") -> None:
        super().__init__()
        if size not in LAYOUTS:
            raise ValueError(f"LiteViT size {size!r} is unknown; expected one of {sorted(LAYOUTS)}")
        layout = LAYOUTS[size]
        self.merges = nn.ModuleList()
        self.stages = nn.ModuleList()
        previous = 3
        for index, (width, depth) in enumerate(zip(layout.widths, layout.depths, strict=True)):
            kernel, padding = (7, 3) if index == 0 else (2, 0)
            self.merges.append(conv_bn(previous, width, kernel, STRIDES[index], padding))
            self.stages.append(nn.Sequential(*(_block(layout.step, width) for _ in range(depth))))
            previous = width
        self.neck = LiteViTNeck(layout.widths[1:], layout.neck)

    def forward(self, image: Tensor) -> Tensor:
        return self.after_first_stage(self.stages[0](self.merges[0](image)))

    def after_first_stage(self, x: Tensor) -> Tensor:
        """``(B, C, S/2, S/2)``, the first stage's output, -> the embedding."""
        features = []
        for merge, stage in zip(self.merges[1:], self.stages[1:], strict=True):
            x = stage(merge(x))
            features.append(x)
        return self.neck(features)

    def folded_first_stage(self) -> nn.Sequential:
        """A copy of the first stage in its deployed form, without gradients."""
        stage = copy.deepcopy(self.stages[0]).eval()
        blocks = [block.fold() for block in cast("Iterable[LiteViTBlock]", stage)]
        merge = fold_conv_bn(copy.deepcopy(self.merges[0]).eval())
        return nn.Sequential(merge, *blocks).requires_grad_(False)

    def fold_(self) -> LiteViT:
        """Turn this encoder into its deployed form in place and return it (evaluation mode only)."""
        self.merges = nn.ModuleList(fold_conv_bn(merge) for merge in self.merges)
        stages = cast("Iterable[Iterable[LiteViTBlock]]", self.stages)
        self.stages = nn.ModuleList(nn.Sequential(*(block.fold() for block in stage)) for stage in stages)
        self.neck.fold_()
        return self
