# SPDX-License-Identifier: Apache-2.0
"""The convolution blocks of EfficientViT; attribute names are the keys of the official checkpoints."""

from __future__ import annotations

from torch import Tensor, nn

from ..layers import NORM_EPS


class ConvNormAct(nn.Module):
    """Convolution, batch normalisation (or a bias instead) and GELU (or none).

    The official weights were trained with the tanh approximation of GELU.
    """

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
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=bias)
        self.norm = nn.BatchNorm2d(outputs, eps=NORM_EPS) if norm else None
        self.act = nn.GELU(approximate="tanh") if act else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if self.norm is not None:
            x = self.norm(x)
        return x if self.act is None else self.act(x)


class ResBlock(nn.Module):
    """Two 3x3 convolutions (ResNet-34's block)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = ConvNormAct(width, width, 3, act=True)
        self.conv2 = ConvNormAct(width, width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x))


class FusedMBConv(nn.Module):
    """3x3 to ``expand`` times the width, then 1x1 back; ``fewer_norm`` puts a bias in the norm's place."""

    def __init__(
        self, inputs: int, outputs: int, stride: int = 1, expand: int = 1, fewer_norm: bool = False
    ) -> None:
        super().__init__()
        middle = inputs * expand
        self.spatial_conv = ConvNormAct(
            inputs, middle, 3, stride, norm=not fewer_norm, bias=fewer_norm, act=True
        )
        self.point_conv = ConvNormAct(middle, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.point_conv(self.spatial_conv(x))


class MBConv(nn.Module):
    """1x1 to ``expand`` times the width, 3x3 depthwise, 1x1 back."""

    def __init__(
        self, inputs: int, outputs: int, stride: int = 1, expand: int = 6, fewer_norm: bool = False
    ) -> None:
        super().__init__()
        middle = inputs * expand
        plain = {"norm": not fewer_norm, "bias": fewer_norm, "act": True}
        self.inverted_conv = ConvNormAct(inputs, middle, 1, **plain)
        self.depth_conv = ConvNormAct(middle, middle, 3, stride, groups=middle, **plain)
        self.point_conv = ConvNormAct(middle, outputs, 1)

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
