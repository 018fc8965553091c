# SPDX-License-Identifier: Apache-2.0
"""The EfficientViT backbones: B, L and XL (EfficientViT, section 2.2; EfficientViT-SAM, section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor, nn

from .blocks import (
    B_STYLE,
    L_STYLE,
    SAM_STYLE,
    ConvNormAct,
    DSConv,
    FusedMBConv,
    MBConv,
    ResBlock,
    Residual,
    Sequence,
    Style,
)
from .linear_attention import EfficientViTModule


@dataclass(frozen=True)
class BackboneConfig:
    """A backbone by its stages.

    Attributes:
        widths: per stage; the stage's first block halves the resolution.
        depths: per stage, blocks after the first one.
        blocks: ``ds``, ``res``, ``fmb``, ``mb`` or ``att``.
        expands: expansion of the stage's blocks.
        down_expands: expansion of the stage's first block; the stem's is not used.
        fewer_norm: biases instead of normalisation inside the stage's blocks.
        style: activation and normalisation.
        scale: kernel that gathers neighbours in the attention.
        head_dim: channels of an attention head.
        input_stem: the stem's key is ``input_stem``, not ``stages.0``.
        multi_scale, attends: whether the attention stages gather neighbours, and attend globally (table 1 of
            EfficientViT).
    """

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    blocks: tuple[str, ...]
    expands: tuple[int, ...]
    down_expands: tuple[int, ...]
    fewer_norm: tuple[bool, ...]
    style: Style
    scale: int = 5
    head_dim: int = 32
    input_stem: bool = False
    multi_scale: bool = True
    attends: bool = True


def _base(widths: tuple[int, ...], depths: tuple[int, ...], head_dim: int) -> BackboneConfig:
    return BackboneConfig(
        widths,
        depths,
        blocks=("ds", "mb", "mb", "att", "att"),
        expands=(1, 4, 4, 4, 4),
        down_expands=(1, 4, 4, 4, 4),
        fewer_norm=(False, False, False, True, True),
        style=B_STYLE,
        head_dim=head_dim,
        input_stem=True,
    )


def _large(depths: tuple[int, ...], style: Style = SAM_STYLE, wide: int = 1) -> BackboneConfig:
    return BackboneConfig(
        tuple(wide * width for width in (32, 64, 128, 256, 512)),
        depths,
        blocks=("res", "fmb", "fmb", "mb", "att"),
        expands=(1, 4, 4, 4, 6),
        down_expands=(4, 16, 16, 16, 24),
        fewer_norm=(False, False, False, True, True),
        style=style,
    )


def _extra_large(depths: tuple[int, ...]) -> BackboneConfig:
    return BackboneConfig(
        (32, 64, 128, 256, 512, 1024),
        depths,
        blocks=("res", "fmb", "fmb", "fmb", "att", "att"),
        expands=(1, 4, 4, 4, 4, 6),
        down_expands=(4, 16, 16, 16, 16, 24),
        fewer_norm=(False, False, False, False, True, True),
        style=SAM_STYLE,
        scale=3,
    )


#: Of EfficientViT-SAM.
SAM_BACKBONES = {
    "l0": _large((1, 1, 1, 4, 4)),
    "l1": _large((1, 1, 1, 6, 6)),
    "l2": _large((1, 2, 2, 8, 8)),
    "xl0": _extra_large((0, 1, 1, 2, 3, 3)),
    "xl1": _extra_large((1, 2, 2, 4, 6, 6)),
}
#: Of the classifiers and segmentation networks. The L series has the layers of EfficientViT-SAM's.
BACKBONES = {
    "b0": _base((8, 16, 32, 64, 128), (1, 1, 1, 2, 2), head_dim=16),
    "b1": _base((16, 32, 64, 128, 256), (1, 1, 2, 3, 4), head_dim=16),
    "b2": _base((24, 48, 96, 192, 384), (1, 2, 3, 4, 6), head_dim=32),
    "b3": _base((32, 64, 128, 256, 512), (1, 3, 5, 6, 9), head_dim=32),
    "l0": _large((1, 1, 1, 4, 4), L_STYLE),
    "l1": _large((1, 1, 1, 6, 6), L_STYLE),
    "l2": _large((1, 2, 2, 8, 8), L_STYLE),
    "l3": _large((1, 2, 2, 8, 8), L_STYLE, wide=2),
}


#: B0 without multi-scale tokens, without global attention, and without both (table 1 of EfficientViT). The
#: widths are scaled until the segmentation network has the multiply-adds of B0's.
BACKBONES |= {
    "b0_no_multi_scale": replace(BACKBONES["b0"], widths=(8, 17, 34, 68, 136), multi_scale=False),
    "b0_no_attention": replace(BACKBONES["b0"], widths=(9, 17, 34, 68, 136), attends=False),
    "b0_neither": replace(BACKBONES["b0"], widths=(9, 18, 37, 74, 148), multi_scale=False, attends=False),
}


class Backbone(nn.Module):
    """``(B, 3, H, W)`` -> the outputs of all stages; stage i has 1 / 2^(i+1) of the resolution."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        stages = [_stage(config, index) for index in range(len(config.widths))]
        if config.input_stem:
            self.input_stem = stages.pop(0)
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        for stage in self.in_order():
            x = stage(x)
            features.append(x)
        return features

    def in_order(self) -> list[nn.Module]:
        """Return the stem and the stages, finest resolution first."""
        stem = getattr(self, "input_stem", None)
        return [*([] if stem is None else [stem]), *self.stages]


def _stage(config: BackboneConfig, index: int) -> Sequence:
    blocks = [_block(config, index) for _ in range(config.depths[index])]
    return Sequence(_first_block(config, index), *blocks)


def _first_block(config: BackboneConfig, index: int) -> nn.Module:
    width, style = config.widths[index], config.style
    if index == 0:
        return ConvNormAct(3, width, 3, stride=2, act=True, style=style)
    # Attention cannot halve the resolution: those stages begin with an MBConv.
    down = FusedMBConv if config.blocks[index] == "fmb" else MBConv
    block = down(
        config.widths[index - 1],
        width,
        stride=2,
        expand=config.down_expands[index],
        fewer_norm=config.fewer_norm[index],
        style=style,
    )
    return Residual(block, shortcut=False)


def _block(config: BackboneConfig, index: int) -> nn.Module:
    kind, width, expand = config.blocks[index], config.widths[index], config.expands[index]
    style = config.style
    if kind == "att":
        scale = config.scale if config.multi_scale else 0
        return EfficientViTModule(width, expand, scale, config.head_dim, style, attends=config.attends)
    if kind in ("res", "ds"):
        return Residual(ResBlock(width, style) if kind == "res" else DSConv(width, style))
    block = FusedMBConv if kind == "fmb" else MBConv
    return Residual(block(width, width, expand=expand, fewer_norm=config.fewer_norm[index], style=style))
