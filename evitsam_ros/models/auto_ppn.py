# SPDX-License-Identifier: Apache-2.0
"""AutoPPN, the automated prompt proposal network of Lite-SAM (paper section 3.3, figure 2 c).

A reconstruction: the paper names a stem of multi-scale pooling, a point confidence and a box regression, not
their widths. It reads only a 256-channel embedding, so it attaches to every SAM with such an encoder (the
paper's table 3 attaches it to SAM-B and MobileSAM).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import NORM_EPS, bias_of, bn_affine, conv_bn, fold_conv_bn
from .multi_scale_pooling import MultiScalePooling

if TYPE_CHECKING:
    from collections.abc import Callable

STEMS: dict[str, Callable[[int], nn.Module]] = {
    "mspm": lambda width: MultiScalePooling(width, (3, 7, 11)),
    "conv": lambda width: nn.Conv2d(width, width, 3, padding=1, bias=False),
}


class AutoPPN(nn.Module):
    """``(B, 256, h, w)`` embedding -> ``heat (B, 1, 4h, 4w)`` in 0..1 and ``boxes (B, 4, 4h, 4w)``.

    ``heat`` is the confidence that a cell is the heart of an object (the normalised distance transform of
    its mask). ``boxes`` holds the distances from the centre of the cell to the left, top, right and bottom
    side of the object's box, as fractions (>= 0) of the side of the padded square input.

    ``stem`` is ``mspm``, the paper's, or ``conv``, the 3x3 convolution that its table 2 compares it with.
    """

    def __init__(self, embedding: int = 256, width: int = 64, stem: str = "mspm") -> None:
        super().__init__()
        self.reduce: nn.Module = conv_bn(embedding, width, 1)
        self.stem: nn.Module = STEMS[stem](width)
        self.stem_norm: nn.Module = nn.BatchNorm2d(width, eps=NORM_EPS)
        self.body: nn.Module = conv_bn(width, width, 3, padding=1)
        self.heat = nn.Conv2d(width, 1, 1)
        self.box = nn.Conv2d(width, 4, 1)
        # A prior of 0.1 for the heat and of about 0.13 of the image for a side: the first steps of
        # training need not unlearn a half-hot map.
        nn.init.constant_(bias_of(self.heat), -2.2)
        nn.init.constant_(bias_of(self.box), -2.0)

    def logits(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Heat before the sigmoid and boxes before the softplus, both at stride 4; for the losses."""
        x = F.interpolate(self.reduce(embedding), scale_factor=4, mode="bilinear", align_corners=False)
        x = F.gelu(self.stem_norm(self.stem(x)))
        x = F.gelu(self.body(x))
        return self.heat(x), self.box(x)

    def forward(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        heat, box = self.logits(embedding)
        return torch.sigmoid(heat), F.softplus(box)

    @torch.no_grad()
    def fold_(self) -> AutoPPN:
        """Fold the stem into one convolution (11x11 depthwise), in place (evaluation mode only)."""
        if isinstance(self.stem, MultiScalePooling):
            scale, shift = bn_affine(self.stem_norm)
            size, channels = max(self.stem.kernels), self.stem.channels
            stem = nn.Conv2d(channels, channels, size, padding=size // 2, groups=channels)
            stem.weight.copy_(self.stem.kernel() * scale[:, None, None, None])
            bias_of(stem).copy_(shift)
        else:
            stem = fold_conv_bn(nn.Sequential(self.stem, self.stem_norm))
        self.stem, self.stem_norm = stem, nn.Identity()
        self.reduce, self.body = fold_conv_bn(self.reduce), fold_conv_bn(self.body)
        return self
