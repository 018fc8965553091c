# SPDX-License-Identifier: Apache-2.0
"""Small layers that the SAM heads and the encoders share."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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
        # In float32 whatever comes in: the squares of the last norm's input leave the range of float16.
        centred = x.float() - x.float().mean(1, keepdim=True)
        variance = centred.pow(2).mean(1, keepdim=True)
        normal = centred * torch.rsqrt(variance + self.eps)
        return (normal * self.weight[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    def rows(self, x: Tensor) -> Tensor:
        """Normalise rows of channels ``(..., C)``; in the weights' float32, whatever comes in."""
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


def bn_affine(bn: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """The ``(scale, shift)`` that a batch normalisation applies in evaluation mode, each ``(C,)``."""
    scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    return scale.detach(), (bn.bias - bn.running_mean * scale).detach()


@torch.no_grad()
def fold_conv_bn(block: nn.Sequential) -> nn.Conv2d:
    """Fold the batch normalisation of :func:`conv_bn` into its convolution (exact in evaluation mode)."""
    conv, bn = block
    scale, shift = bn_affine(bn)
    folded = nn.Conv2d(
        conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, groups=conv.groups
    )
    folded.weight.copy_(conv.weight * scale[:, None, None, None])
    folded.bias.copy_(shift)
    return folded
