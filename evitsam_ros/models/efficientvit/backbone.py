# SPDX-License-Identifier: Apache-2.0
"""The EfficientViT L and XL backbones (EfficientViT-SAM, section 3.2 and figure 2)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from .blocks import ConvNormAct, FusedMBConv, MBConv, ResBlock, Residual, Sequence
from .linear_attention import EfficientViTModule


@dataclass(frozen=True)
class BackboneConfig:
    """A backbone by its stages.

    Attributes:
        widths, depths: per stage; the stage's first block halves the resolution.
        blocks: ``res``, ``fmb``, ``mb`` or ``att``.
        expands: expansion of the stage's blocks; four times that in its first.
        fewer_norm: biases instead of normalisation inside the stage's blocks.
        scale: kernel that gathers neighbours in the attention.
    """

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    blocks: tuple[str, ...]
    expands: tuple[int, ...]
    fewer_norm: tuple[bool, ...]
    scale: int


def _large(depths: tuple[int, ...]) -> BackboneConfig:
    blocks, few = ("res", "fmb", "fmb", "mb", "att"), (False, False, False, True, True)
    return BackboneConfig((32, 64, 128, 256, 512), depths, blocks, (1, 4, 4, 4, 6), few, scale=5)


def _extra_large(depths: tuple[int, ...]) -> BackboneConfig:
    blocks, few = ("res", "fmb", "fmb", "fmb", "att", "att"), (False, False, False, False, True, True)
    return BackboneConfig((32, 64, 128, 256, 512, 1024), depths, blocks, (1, 4, 4, 4, 4, 6), few, scale=3)


BACKBONES = {
    "l0": _large((1, 1, 1, 4, 4)),
    "l1": _large((1, 1, 1, 6, 6)),
    "l2": _large((1, 2, 2, 8, 8)),
    "xl0": _extra_large((0, 1, 1, 2, 3, 3)),
    "xl1": _extra_large((1, 2, 2, 4, 6, 6)),
}


class Backbone(nn.Module):
    """``(B, 3, S, S)`` -> the outputs of all stages; stage i has 1 / 2^(i+1) of the resolution."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.stages = nn.ModuleList(_stage(config, index) for index in range(len(config.widths)))

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


def _stage(config: BackboneConfig, index: int) -> Sequence:
    width, kind, expand = config.widths[index], config.blocks[index], config.expands[index]
    few = config.fewer_norm[index]
    if index == 0:
        first: nn.Module = ConvNormAct(3, width, 3, stride=2, act=True)
    else:
        # Attention cannot halve the resolution: those stages begin with an MBConv.
        down = FusedMBConv if kind == "fmb" else MBConv
        inputs = config.widths[index - 1]
        block = down(inputs, width, stride=2, expand=4 * expand, fewer_norm=few)
        first = Residual(block, shortcut=False)
    return Sequence(
        first, *(_block(kind, width, expand, few, config.scale) for _ in range(config.depths[index]))
    )


def _block(kind: str, width: int, expand: int, fewer_norm: bool, scale: int) -> nn.Module:
    if kind == "att":
        return EfficientViTModule(width, expand, scale)
    if kind == "res":
        return Residual(ResBlock(width))
    block = FusedMBConv if kind == "fmb" else MBConv
    return Residual(block(width, width, expand=expand, fewer_norm=fewer_norm))
