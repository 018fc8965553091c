# SPDX-License-Identifier: Apache-2.0
"""The convolution blocks of EfficientViT; attribute names are the keys of the official checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import Tensor, nn

from ..layers import NORM_EPS


@dataclass(frozen=True)
class Style:
    """Define the common properties of the blocks of one family of checkpoints.

    Attributes:
        act: activation; ``gelu`` is the tanh approximation, which the official weights were trained with.
        eps: of every normalisation.
        norm: False: convolutions have a bias in place of the batch normalisation.
    """

    act: Literal["gelu", "hswish"]
    eps: float
    norm: bool = True

    def activation(self) -> nn.Module:
        """Make the activation's module."""
        return nn.Hardswish() if self.act == "hswish" else nn.GELU(approximate="tanh")


#: EfficientViT-SAM; the B and the L series of the classifiers and segmentation networks.
SAM_STYLE, B_STYLE, L_STYLE = Style("gelu", NORM_EPS), Style("hswish", 1e-5), Style("gelu", 1e-7)


class ConvNormAct(nn.Module):
    """Convolution, batch normalisation (or a bias instead) and an activation (or none)."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        norm: bool = True,
        bias: bool = False,
        act: bool = False,
        style: Style = SAM_STYLE,
    ) -> None:
        super().__init__()
        bias = bias or (norm and not style.norm)
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=bias)
        self.norm = nn.BatchNorm2d(outputs, eps=style.eps) if norm and style.norm else None
        self.act = style.activation() if act else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if self.norm is not None:
            x = self.norm(x)
        return x if self.act is None else self.act(x)


class ResBlock(nn.Module):
    """Two 3x3 convolutions (ResNet-34's block)."""

    def __init__(self, width: int, style: Style = SAM_STYLE) -> None:
        super().__init__()
        self.conv1 = ConvNormAct(width, width, 3, act=True, style=style)
        self.conv2 = ConvNormAct(width, width, 3, style=style)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x))


class DSConv(nn.Module):
    """3x3 depthwise, then 1x1 (the stem of the B series)."""

    def __init__(self, width: int, style: Style = B_STYLE) -> None:
        super().__init__()
        self.depth_conv = ConvNormAct(width, width, 3, groups=width, act=True, style=style)
        self.point_conv = ConvNormAct(width, width, 1, style=style)

    def forward(self, x: Tensor) -> Tensor:
        return self.point_conv(self.depth_conv(x))


class FusedMBConv(nn.Module):
    """3x3 to ``expand`` times the width, then 1x1 back; ``fewer_norm`` puts a bias in the norm's place."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int = 1,
        expand: int = 1,
        fewer_norm: bool = False,
        style: Style = SAM_STYLE,
    ) -> None:
        super().__init__()
        middle = inputs * expand
        self.spatial_conv = ConvNormAct(
            inputs, middle, 3, stride, norm=not fewer_norm, bias=fewer_norm, act=True, style=style
        )
        self.point_conv = ConvNormAct(middle, outputs, 1, style=style)

    def forward(self, x: Tensor) -> Tensor:
        return self.point_conv(self.spatial_conv(x))


class MBConv(nn.Module):
    """1x1 to ``expand`` times the width, 3x3 depthwise, 1x1 back."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int = 1,
        expand: int = 6,
        fewer_norm: bool = False,
        style: Style = SAM_STYLE,
    ) -> None:
        super().__init__()
        middle = inputs * expand
        conv = partial(ConvNormAct, norm=not fewer_norm, bias=fewer_norm, act=True, style=style)
        self.inverted_conv = conv(inputs, middle, 1)
        self.depth_conv = conv(middle, middle, 3, stride, groups=middle)
        self.point_conv = ConvNormAct(middle, outputs, 1, style=style)

    def forward(self, x: Tensor) -> Tensor:
        return self.point_conv(self.depth_conv(self.inverted_conv(x)))


class Residual(nn.Module):
    """``main(x) + x``, or ``main(x)`` alone where the shape changes (``shortcut=False``)."""

    def __init__(self, main: nn.Module, shortcut: bool = True) -> None:
        super().__init__()
        self.main = main
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x) + x if self.shortcut else self.main(x)


class Sequence(nn.Module):
    """Operations in a row, under the key ``op_list``."""

    def __init__(self, *operations: nn.Module) -> None:
        super().__init__()
        self.op_list = nn.ModuleList(operations)

    def forward(self, x: Tensor) -> Tensor:
        for operation in self.op_list:
            x = operation(x)
        return x
