# SPDX-License-Identifier: Apache-2.0
"""An image encoder around any ``timm`` backbone, with high-resolution features for the mask decoder.

Not in the papers. The embedding is EfficientViT-SAM's in form: several strides fused at one grid, here stride
16. Strides 4 and 8 are brought there by space-to-depth, so that detail inside a cell survives. The
high-resolution features are those of SAM 2 (Ravi et al. 2024, section 4): 1x1 convolutions of strides 4 and 8
that the decoder adds while it upscales. A convolutional backbone has seen a few pixels at these strides, so a
top-down path (Lin et al. 2017, "Feature Pyramid Networks") brings them the context of stride 16.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import LayerNorm2d, conv_bn, fold_conv_bn
from .timm_backbone import TimmBackbone

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Width of the fused map in the neck.
NECK_WIDTH = 192
#: Channels of the high-resolution features of strides 4 and 8, as the decoder's upscaling has them.
HIGH_RES_CHANNELS = (32, 64)


class ResidualBlock(nn.Module):
    """``x + BN(1x1(GELU(BN(3x3(x)))))``, shape-preserving ``(B, C, H, W)``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.spatial: nn.Module = conv_bn(width, width, 3, padding=1)
        self.point: nn.Module = conv_bn(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.point(F.gelu(self.spatial(x)))

    def fold_(self) -> None:
        self.spatial, self.point = _folded(self.spatial), _folded(self.point)


class BackboneNeck(nn.Module):
    """Fuse maps of strides 4, 8, 16 and 32 into the ``(B, 256, H/16, W/16)`` embedding.

    ``gather`` is the reduction of strides 4 and 8 to stride 16: ``space_to_depth`` or ``pool`` (ablation).
    """

    def __init__(
        self,
        channels: Sequence[int],
        width: int = NECK_WIDTH,
        depth: int = 2,
        outputs: int = 256,
        gather: str = "space_to_depth",
    ) -> None:
        super().__init__()
        self.gather = gather
        areas = (16, 4, 1, 1) if gather == "space_to_depth" else (1, 1, 1, 1)
        self.laterals = nn.ModuleList(
            conv_bn(count * area, width, 1) for count, area in zip(channels, areas, strict=True)
        )
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(depth))
        self.output = nn.Conv2d(width, outputs, 1)
        self.norm = LayerNorm2d(outputs)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the embedding, and the fused map ``(B, width, H/16, W/16)`` before its last convolution."""
        stride4, stride8, stride16, stride32 = features
        fused = self.laterals[2](stride16)
        for lateral, feature, side in ((self.laterals[0], stride4, 4), (self.laterals[1], stride8, 2)):
            gathered = (
                F.pixel_unshuffle(feature, side)
                if self.gather == "space_to_depth"
                else F.avg_pool2d(feature, side)
            )
            fused = fused + lateral(gathered)
        coarse = self.laterals[3](stride32)
        fused = fused + _doubled(coarse)
        for block in self.blocks:
            fused = block(fused)
        return self.norm(self.output(fused)), fused

    def fold_(self) -> None:
        self.laterals = nn.ModuleList(_folded(lateral) for lateral in self.laterals)
        for block in cast("Iterable[ResidualBlock]", self.blocks):
            block.fold_()


class TopDown(nn.Module):
    """Compute context for the high-resolution features, added to those of strides 4 and 8.

    Two levels of a feature pyramid with the widths of the high-resolution features. The last convolutions
    start at zero, so a checkpoint without the path can be given one.

    Args:
        channels: of the maps of strides 4 and 8.
        width: channels of the fused map of stride 16.
    """

    def __init__(self, channels: Sequence[int], width: int = NECK_WIDTH) -> None:
        super().__init__()
        fine, coarse = HIGH_RES_CHANNELS
        self.lateral4: nn.Module = conv_bn(channels[0], fine, 1)
        self.lateral8: nn.Module = conv_bn(channels[1], coarse, 1)
        self.down16, self.down8 = nn.Conv2d(width, coarse, 1), nn.Conv2d(coarse, fine, 1)
        self.smooth8 = nn.Conv2d(coarse, coarse, 3, padding=1)
        self.smooth4 = nn.Conv2d(fine, fine, 3, padding=1)
        self.output4, self.output8 = nn.Conv2d(fine, fine, 1), nn.Conv2d(coarse, coarse, 1)
        for output in (self.output4, self.output8):
            _zero(output)

    def forward(self, stride4: Tensor, stride8: Tensor, fused: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the residuals of the features of strides 4 and 8.

        Args:
            stride4: ``(B, C, 4h, 4w)`` of the backbone.
            stride8: ``(B, C', 2h, 2w)`` of the backbone.
            fused: ``(B, width, h, w)`` of the neck.

        Returns:
            ``(B, 32, 4h, 4w)`` and ``(B, 64, 2h, 2w)``.
        """
        level8 = F.gelu(self.lateral8(stride8) + _doubled(self.down16(fused)))
        level8 = F.gelu(self.smooth8(level8))
        level4 = F.gelu(self.lateral4(stride4) + _doubled(self.down8(level8)))
        level4 = F.gelu(self.smooth4(level4))
        return self.output4(level4), self.output8(level8)

    def fold_(self) -> None:
        self.lateral4, self.lateral8 = _folded(self.lateral4), _folded(self.lateral8)


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _zero(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def _folded(layer: nn.Module) -> nn.Conv2d:
    """The convolution of :func:`.layers.conv_bn` with its norm in it; one without a norm as it is."""
    return layer if isinstance(layer, nn.Conv2d) else fold_conv_bn(layer)


class BackboneEncoder(nn.Module):
    """``(B, 3, S, S)`` normalised float32 RGB, S a multiple of 32 -> embedding and high-resolution features.

    ``forward`` returns ``(B, 256, S/16, S/16)``, then ``(B, 32, S/4, S/4)`` and ``(B, 64, S/8, S/8)``.

    Args:
        backbone: ``timm`` name.
        weights: pretrained weights of the backbone, see :func:`.timm_backbone.pretrained_weights`.
        high_res: False leaves the high-resolution features out (ablation).
        top_down: False leaves their context out (ablation).
        gather: see :class:`BackboneNeck`.
    """

    def __init__(
        self,
        backbone: str,
        weights: dict[str, Tensor] | None = None,
        high_res: bool = True,
        gather: str = "space_to_depth",
        top_down: bool = True,
    ) -> None:
        super().__init__()
        self.backbone = TimmBackbone(backbone, weights)
        channels = self.backbone.channels
        self.neck = BackboneNeck(channels, gather=gather)
        self.high_res = nn.ModuleList()
        for inputs, outputs in zip(channels, HIGH_RES_CHANNELS if high_res else (), strict=False):
            convolution = nn.Conv2d(inputs, outputs, 1)
            # At zero the decoder is the one that it was: a decoder trained without can be gone on with.
            _zero(convolution)
            self.high_res.append(convolution)
        self.top_down = TopDown(channels) if high_res and top_down else None

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        features = self.backbone(image)
        embedding, fused = self.neck(features)
        if not len(self.high_res):
            return embedding
        stride4, stride8 = (layer(feature) for layer, feature in zip(self.high_res, features, strict=False))
        if self.top_down is not None:
            more4, more8 = self.top_down(*features[:2], fused)
            stride4, stride8 = stride4 + more4, stride8 + more8
        return embedding, stride4, stride8

    @torch.no_grad()
    def fold_(self) -> BackboneEncoder:
        """Fold the norms of neck and top-down path in place and return the encoder (evaluation mode only).

        This is the deployed form. It can be trained too, without batch statistics.
        """
        self.neck.fold_()
        if self.top_down is not None:
            self.top_down.fold_()
        return self
