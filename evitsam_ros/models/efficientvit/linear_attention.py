# SPDX-License-Identifier: Apache-2.0
"""Multi-scale ReLU linear attention (EfficientViT, section 3.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..static_reshape import reshape
from .blocks import SAM_STYLE, ConvNormAct, MBConv, Residual, Style

#: Added to the normaliser. It is 0 in half precision: the attention has to stay in float32.
ATTENTION_EPS = 1e-15


def relu_linear_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """``sum_j relu(q_i).relu(k_j) v_j / sum_j relu(q_i).relu(k_j)``, all ``(B, heads, dim, N)``.

    The sums over the N positions come first, so the cost is linear in N. Always in float32: the sums
    leave the range of float16.
    """
    q, k, v = F.relu(q.float()), F.relu(k.float()), v.float()
    out = (v @ k.transpose(-1, -2)) @ q
    normaliser = k.sum(dim=-1, keepdim=True).transpose(-1, -2) @ q
    return out / (normaliser + ATTENTION_EPS)


def relu_quadratic_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Compute the same function with N x N weights first: cheaper if N <= ``dim``."""
    q, k, v = F.relu(q.float()), F.relu(k.float()), v.float()
    weights = k.transpose(-1, -2) @ q
    weights = weights / (weights.sum(dim=2, keepdim=True) + ATTENTION_EPS)
    return v @ weights


class MultiScaleLinearAttention(nn.Module):
    """Heads on the projected tokens and on their aggregation by a ``scale`` x ``scale`` depthwise kernel.

    With a scale of 0 the heads see the projected tokens alone.
    """

    def __init__(self, width: int, head_dim: int = 32, scale: int = 5, style: Style = SAM_STYLE) -> None:
        super().__init__()
        self.head_dim = head_dim
        heads = width // head_dim
        total = 3 * heads * head_dim
        self.qkv = ConvNormAct(width, total, 1, norm=False)
        self.aggreg = nn.ModuleList([_gather(total, scale, 3 * heads)] if scale else [])
        self.groups = (1 + len(self.aggreg)) * heads  # heads of both scales
        self.proj = ConvNormAct(self.groups * head_dim, width, 1, style=style)

    def forward(self, x: Tensor) -> Tensor:
        # Plain integers: the exported graph has a fixed input size and no shape tensors.
        height, width = int(x.shape[-2]), int(x.shape[-1])
        qkv = self.qkv(x)
        scales = torch.cat([qkv, *(aggregate(qkv) for aggregate in self.aggreg)], dim=1)
        heads = reshape(scales, 0, self.groups, 3 * self.head_dim, -1)
        attend = relu_linear_attention if height * width > self.head_dim else relu_quadratic_attention
        dim = self.head_dim
        out = attend(heads[:, :, :dim], heads[:, :, dim : 2 * dim], heads[:, :, 2 * dim :])
        return self.proj(reshape(out, 0, -1, height, width).to(x.dtype))


class MultiScaleTokens(nn.Module):
    """The values of :class:`MultiScaleLinearAttention` without attention; ``(B, width, H, W)`` both ways."""

    def __init__(self, width: int, head_dim: int, scale: int, style: Style) -> None:
        super().__init__()
        heads = width // head_dim
        total = heads * head_dim
        self.value = ConvNormAct(width, total, 1, norm=False)
        self.aggreg = nn.ModuleList([_gather(total, scale, heads)])
        self.proj = ConvNormAct(2 * total, width, 1, style=style)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.value(x)
        return self.proj(torch.cat([tokens, *(aggregate(tokens) for aggregate in self.aggreg)], dim=1))


class EfficientViTModule(nn.Module):
    """Attention for the context, then an MBConv for local features (figure 2 of EfficientViT-SAM).

    Args:
        scale: side of the kernel that gathers neighbours; 0: none.
        attends: with global attention. With neither, the module is the MBConv alone.
    """

    def __init__(
        self,
        width: int,
        expand: int,
        scale: int = 5,
        head_dim: int = 32,
        style: Style = SAM_STYLE,
        *,
        attends: bool = True,
    ) -> None:
        super().__init__()
        context: nn.Module | None = None
        if attends:
            context = MultiScaleLinearAttention(width, head_dim, scale, style)
        elif scale:
            context = MultiScaleTokens(width, head_dim, scale, style)
        self.context_module = nn.Identity() if context is None else Residual(context)
        self.local_module = Residual(MBConv(width, width, expand=expand, fewer_norm=True, style=style))

    def forward(self, x: Tensor) -> Tensor:
        return self.local_module(self.context_module(x))


def _gather(total: int, scale: int, groups: int) -> nn.Sequential:
    """Make the aggregation of ``total`` channels: ``scale`` x ``scale`` depthwise, then 1x1 in groups."""
    gather = nn.Conv2d(total, total, scale, padding=scale // 2, groups=total, bias=False)
    return nn.Sequential(gather, nn.Conv2d(total, total, 1, groups=groups, bias=False))
