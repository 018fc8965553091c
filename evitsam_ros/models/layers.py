# SPDX-License-Identifier: Apache-2.0
"""Small layers that the SAM heads and the encoders share."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .static_reshape import reshape

#: Every normalisation of the official EfficientViT-SAM runs with this epsilon (its ``set_norm_eps``).
NORM_EPS = 1e-6


class LayerNorm2d(nn.Module):
    """Layer normalisation over the channels of ``(B, C, H, W)``, as in SAM and EfficientViT-SAM."""

    def __init__(self, channels: int, eps: float = NORM_EPS) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        if self.training:  # one fused pass; the written-out form below is the one that exports well
            return self.rows(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        # Always in float32: the squares of the last norm's input exceed the range of float16.
        centred = x.float() - x.float().mean(1, keepdim=True)
        variance = centred.pow(2).mean(1, keepdim=True)
        normal = centred * torch.rsqrt(variance + self.eps)
        return (normal * self.weight[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    def rows(self, x: Tensor) -> Tensor:
        """Normalise rows of channels ``(..., C)``; in the weights' float32, for every input dtype."""
        # Casts only where they do something: a cast of float32 to float32 would rename an exported graph's
        # nodes. Training casts by itself.
        casts = not self.training and x.dtype != self.weight.dtype
        wide = x.to(self.weight.dtype) if casts else x
        normal = F.layer_norm(wide, self.weight.shape, self.weight, self.bias, self.eps)
        return normal.to(x.dtype) if casts else normal


class Mlp(nn.Module):
    """``depth`` linear layers with ReLU between them (SAM's hypernetworks and IoU head)."""

    def __init__(self, inputs: int, hidden: int, outputs: int, depth: int) -> None:
        super().__init__()
        widths = [inputs, *[hidden] * (depth - 1), outputs]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Sequential:
    """A convolution without bias and its batch normalisation, foldable by :func:`fold_conv_bn`."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs, eps=NORM_EPS))


def bias_of(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear) -> Tensor:
    """Return the bias of a layer.

    Raises:
        ValueError: The layer was built without a bias.
    """
    if layer.bias is None:
        raise ValueError(f"{layer} has no bias; expected a layer that was built with one")
    return layer.bias


def bn_affine(bn: nn.Module) -> tuple[Tensor, Tensor]:
    """Return the ``(scale, shift)`` that a batch normalisation applies in evaluation mode, each ``(C,)``.

    Raises:
        TypeError: The module is not a ``BatchNorm2d`` with running statistics.
    """
    if not isinstance(bn, nn.BatchNorm2d) or bn.running_mean is None or bn.running_var is None:
        raise TypeError(f"{bn} cannot be folded; expected a BatchNorm2d with running statistics")
    scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    return scale.detach(), (bn.bias - bn.running_mean * scale).detach()


@torch.no_grad()
def fold_conv_bn(block: nn.Module) -> nn.Conv2d:
    """Fold the batch normalisation of :func:`conv_bn` into its convolution (exact in evaluation mode).

    Raises:
        TypeError: The block is not a convolution without bias followed by a batch normalisation.
    """
    conv, bn = block if isinstance(block, nn.Sequential) and len(block) == 2 else (block, None)
    if bn is None or not isinstance(conv, nn.Conv2d) or conv.bias is not None:
        raise TypeError(f"{block} cannot be folded; expected a convolution without bias and its BatchNorm2d")
    scale, shift = bn_affine(bn)
    folded = conv_like(conv)
    folded.weight.copy_(conv.weight * scale[:, None, None, None])
    bias_of(folded).copy_(shift)
    return folded


def conv_like(conv: nn.Conv2d) -> nn.Conv2d:
    """Return a new convolution with a bias and the shape, stride, padding and groups of another one."""
    height, width = conv.kernel_size
    return nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        (height, width),
        (conv.stride[0], conv.stride[1]),
        conv.padding if isinstance(conv.padding, str) else (conv.padding[0], conv.padding[1]),
        groups=conv.groups,
    )


def sam_neck(inputs: int, outputs: int = 256) -> nn.Sequential:
    """Build the neck with its official keys: ``(B, inputs, h, w)`` -> ``(B, outputs, h, w)``."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, bias=False),
        LayerNorm2d(outputs, eps=1e-6),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        LayerNorm2d(outputs, eps=1e-6),
    )


def to_windows(x: Tensor, side: int) -> Tensor:
    """``(B, H, W, C)`` -> ``(B * n, side, side, C)``, row by row; padded with zeros."""
    height, width, channels = (int(length) for length in x.shape[1:])
    if height % side or width % side:
        x = F.pad(x, (0, 0, 0, -width % side, 0, -height % side))
    rows, columns = -(-height // side), -(-width // side)
    x = reshape(x, 0, rows, side, columns, side, channels).permute(0, 1, 3, 2, 4, 5)
    return reshape(x, -1, side, side, channels)


def from_windows(x: Tensor, height: int, width: int) -> Tensor:
    """The inverse of :func:`to_windows`: ``(B * n, side, side, C)`` -> ``(B, height, width, C)``."""
    side, channels = int(x.shape[1]), int(x.shape[3])
    rows, columns = -(-height // side), -(-width // side)
    x = reshape(x, -1, rows, columns, side, side, channels).permute(0, 1, 3, 2, 4, 5)
    x = reshape(x, -1, rows * side, columns * side, channels)
    return x[:, :height, :width] if height % side or width % side else x
