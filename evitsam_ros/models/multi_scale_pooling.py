# SPDX-License-Identifier: Apache-2.0
"""Lite-SAM's multi-scale pooling module (MSPM, paper section 3.2 and figure 3), in a foldable form.

Average pooling and a depthwise convolution are both linear, so one depthwise kernel does the work of
all of them. The paper leaves the padding of the pools open; zero padding that counts makes the identity
exact up to the borders, so training and deployment both run the single merged kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_weight

if TYPE_CHECKING:
    from collections.abc import Sequence


class MultiScalePooling(nn.Module):
    """``sum_k w_k * AvgPool_k(x) + DWConv3x3(x) - x`` over ``(B, C, H, W)``; weights ``w_k`` per channel.

    The kernels are odd, the stride is 1 and the pools count their zero padding.
    """

    def __init__(self, channels: int, kernels: Sequence[int] = (3, 5, 7)) -> None:
        super().__init__()
        self.kernels = tuple(kernels)
        self.pool_weights = nn.Parameter(torch.full((len(kernels), channels), 1.0 / len(kernels)))
        self.local = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)

    @property
    def channels(self) -> int:
        return self.pool_weights.shape[1]

    def kernel(self) -> Tensor:
        """The merged depthwise kernel, ``(C, 1, K, K)`` with K the largest of the pooling kernels."""
        size = max(self.kernels)
        merged = F.pad(self.local.weight, [(size - 3) // 2] * 4)
        boxes = torch.zeros(len(self.kernels), size, size, dtype=merged.dtype, device=merged.device)
        for box, k in zip(boxes, self.kernels, strict=True):
            margin = (size - k) // 2
            box[margin : size - margin, margin : size - margin] = 1.0 / (k * k)
        merged = merged + torch.einsum("kc,khw->chw", self.pool_weights, boxes)[:, None]
        identity = torch.zeros(size, size, dtype=merged.dtype, device=merged.device)
        identity[size // 2, size // 2] = 1.0
        return merged - identity

    def forward(self, x: Tensor) -> Tensor:
        return _MergedConvolution.apply(x, self.kernel(), self.pool_weights, self.local.weight, self.kernels)


class _MergedConvolution(torch.autograd.Function):
    """Run a depthwise convolution with the merged kernel, with gradients of the kernels that were merged.

    The general weight gradient of a 7x7 depthwise convolution costs more on a CPU than the rest of the block.
    The kernel has three plus nine degrees of freedom per channel, so the gradients are three pools and one
    3x3 convolution instead.
    """

    @staticmethod
    def forward(ctx, x: Tensor, kernel: Tensor, pool_weights: Tensor, local: Tensor, kernels) -> Tensor:
        device = x.device.type
        if device != "meta" and torch.is_autocast_enabled(device):
            x = x.to(torch.get_autocast_dtype(device))
        kernel = kernel.to(x.dtype)
        ctx.save_for_backward(x, kernel)
        ctx.kernels = kernels
        return F.conv2d(x, kernel, padding=kernel.shape[-1] // 2, groups=x.shape[1])

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, kernel = ctx.saved_tensors
        channels = x.shape[1]
        grad = grad.to(x.dtype)
        flipped = kernel.flip(2, 3)
        grad_x = F.conv2d(grad, flipped, padding=kernel.shape[-1] // 2, groups=channels)
        pools = []
        for k in ctx.kernels:
            box = torch.full((channels, 1, k, k), 1.0 / (k * k), dtype=x.dtype, device=x.device)
            pooled = F.conv2d(x, box, padding=k // 2, groups=channels)
            pools.append((pooled * grad).sum((0, 2, 3)))
        local = conv2d_weight(x, (channels, 1, 3, 3), grad, padding=1, groups=channels)
        return grad_x, None, torch.stack(pools), local, None
