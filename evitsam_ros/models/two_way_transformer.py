# SPDX-License-Identifier: Apache-2.0
"""SAM's two-way transformer ("Segment Anything", appendix A): tokens look at the image and back.

Keys as in the official checkpoints. This is the plain form, for training and as the reference; the forms
that robots run are in ``decoder_rewrites``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import NORM_EPS
from .static_reshape import reshape


class Attention(nn.Module):
    """Apply multi-head attention with an inner width of ``width / downsample``."""

    def __init__(self, width: int, heads: int, downsample: int = 1) -> None:
        super().__init__()
        self.heads = heads
        self.inner = width // downsample
        self.scale = (self.inner // heads) ** -0.5
        self.q_proj = nn.Linear(width, self.inner)
        self.k_proj = nn.Linear(width, self.inner)
        self.v_proj = nn.Linear(width, self.inner)
        self.out_proj = nn.Linear(self.inner, width)

    def split(self, x: Tensor) -> Tensor:
        """``(B, N, inner)`` -> ``(B, heads, N, inner / heads)``."""
        return reshape(x, 0, 0, self.heads, self.inner // self.heads).transpose(1, 2)

    def merge(self, x: Tensor) -> Tensor:
        """The inverse of :meth:`split`."""
        return reshape(x.transpose(1, 2), 0, 0, self.inner)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = self.split(self.q_proj(q)), self.split(self.k_proj(k)), self.split(self.v_proj(v))
        # A handful of tokens on one side: two plain products beat the fused kernels, most of all backwards.
        weights = torch.softmax(q @ k.transpose(-2, -1) * self.scale, dim=-1)
        mixed = weights.to(v.dtype) @ v
        return self.out_proj(self.merge(mixed))


class TransformerMlp(nn.Module):
    """Apply two linear layers with ReLU between them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(width, hidden)
        self.lin2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.lin2(F.relu(self.lin1(x)))


class TwoWayBlock(nn.Module):
    """Self attention of the tokens, tokens to image, MLP of the tokens, image to tokens.

    The first block takes the tokens as their own positions, so it adds none and has no first residual.
    """

    def __init__(self, width: int, heads: int, mlp: int, first: bool, eps: float = NORM_EPS) -> None:
        super().__init__()
        self.first = first
        self.self_attn = Attention(width, heads)
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.cross_attn_token_to_image = Attention(width, heads, downsample=2)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.mlp = TransformerMlp(width, mlp)
        self.norm3 = nn.LayerNorm(width, eps=eps)
        self.norm4 = nn.LayerNorm(width, eps=eps)
        self.cross_attn_image_to_token = Attention(width, heads, downsample=2)

    def attend_self(self, tokens: Tensor, token_pe: Tensor) -> Tensor:
        if self.first:
            return self.norm1(self.self_attn(tokens, tokens, tokens))
        q = tokens + token_pe
        return self.norm1(tokens + self.self_attn(q, q, tokens))

    def forward(
        self, tokens: Tensor, image: Tensor, token_pe: Tensor, image_pe: Tensor
    ) -> tuple[Tensor, Tensor]:
        tokens = self.attend_self(tokens, token_pe)
        update = self.cross_attn_token_to_image(tokens + token_pe, image + image_pe, image)
        tokens = self.norm2(tokens + update)
        tokens = self.norm3(tokens + self.mlp(tokens))
        update = self.cross_attn_image_to_token(image + image_pe, tokens + token_pe, tokens)
        return tokens, self.norm4(image + update)


class TwoWayTransformer(nn.Module):
    """``tokens (B, T, C)``, ``image (B, P, C)``, ``image_pe (1, P, C)`` -> both updated.

    ``eps`` is that of the layer norms: 1e-6 in EfficientViT-SAM, 1e-5 in SAM.
    """

    def __init__(
        self, width: int = 256, heads: int = 8, mlp: int = 2048, depth: int = 2, eps: float = NORM_EPS
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayBlock(width, heads, mlp, i == 0, eps) for i in range(depth))
        self.final_attn_token_to_image = Attention(width, heads, downsample=2)
        self.norm_final_attn = nn.LayerNorm(width, eps=eps)

    def forward(self, tokens: Tensor, image: Tensor, image_pe: Tensor) -> tuple[Tensor, Tensor]:
        token_pe = tokens
        for layer in self.layers:
            tokens, image = layer(tokens, image, token_pe, image_pe)
        update = self.final_attn_token_to_image(tokens + token_pe, image + image_pe, image)
        return self.norm_final_attn(tokens + update), image


def flatten_image(x: Tensor) -> Tensor:
    """``(B, C, h, w)`` -> ``(B, h * w, C)``."""
    return reshape(x, 0, 0, -1).transpose(1, 2)
