# SPDX-License-Identifier: Apache-2.0
"""SAM's image encoder ("Segment Anything", appendix A): a ViT of patches of 16 pixels.

Attention is within windows, but in four blocks it is global; both have relative positions, a table for rows
and one for columns (Li et al. 2022, "Exploring Plain Vision Transformer Backbones for Object Detection").
Keys as in the official checkpoints. This is the plain form, for training and as the reference; the form that
robots run is in ``deployed_sam_vit``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import from_windows, sam_neck, to_windows
from .static_reshape import reshape

#: Epsilon of the layer norms of SAM's image encoder.
EPS = 1e-6
#: Pixels along a side of a patch, patches along a side of a window, and along a side of the image.
PATCH, WINDOW, GRID = 16, 14, 64


@dataclass(frozen=True)
class VitSize:
    """Describe a ViT: width, depth, heads, and the blocks with global attention."""

    width: int
    depth: int
    heads: int
    everywhere: tuple[int, ...]


SIZES = {
    "vit_b": VitSize(768, 12, 12, (2, 5, 8, 11)),
    "vit_l": VitSize(1024, 24, 16, (5, 11, 17, 23)),
    "vit_h": VitSize(1280, 32, 16, (7, 15, 23, 31)),
}


class RelativeAttention(nn.Module):
    """Attention on ``(B, H, W, C)``, global or within windows.

    A token that fills up a window at the border is zero, and is attended to like any other, as in SAM.

    Args:
        width: channels C.
        heads: number of heads.
        side: tokens along a side of the attended area.
        windows: whether these are windows of the map, or the map itself.
    """

    def __init__(self, width: int, heads: int, side: int, windows: bool) -> None:
        super().__init__()
        self.heads, self.side, self.windows = heads, side, windows
        self.scale = (width // heads) ** -0.5
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * side - 1, width // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * side - 1, width // heads))

    def forward(self, x: Tensor) -> Tensor:
        height, width = int(x.shape[1]), int(x.shape[2])
        return from_windows(self.attend(to_windows(x, self.side)), height, width)

    def attend(self, x: Tensor) -> Tensor:
        """Attention within each of ``(N, side, side, C)``."""
        side, heads = self.side, self.heads
        qkv = reshape(self.qkv(x), 0, side * side, 3, heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        scores = (q * self.scale) @ k.transpose(-2, -1)
        q = reshape(q, 0, heads, side, side, -1)
        rows = torch.einsum("nhyxc,yrc->nhyxr", q, self.table(self.rel_pos_h))
        columns = torch.einsum("nhyxc,xsc->nhyxs", q, self.table(self.rel_pos_w))
        scores = reshape(scores, 0, heads, side, side, side, side)
        scores = scores + rows[..., None] + columns[..., None, :]
        weights = reshape(scores, 0, heads, side * side, -1).softmax(dim=-1)
        mixed = reshape((weights @ v).transpose(1, 2), 0, side, side, -1)
        return self.proj(mixed)

    def table(self, positions: Tensor) -> Tensor:
        """``(2 * side - 1, C)`` by distance -> ``(side, side, C)`` by the places of query and key."""
        places = torch.arange(self.side, device=positions.device)
        return positions[places[:, None] - places[None] + self.side - 1]


class VitMlp(nn.Module):
    """Apply two linear layers with GELU between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(width, 4 * width)
        self.lin2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.lin2(F.gelu(self.lin1(x)))


class VitBlock(nn.Module):
    """``x + attention(norm(x))``, then ``x + MLP(norm(x))``; shape-preserving ``(B, H, W, C)``."""

    def __init__(self, width: int, heads: int, everywhere: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPS)
        self.attn = RelativeAttention(width, heads, GRID if everywhere else WINDOW, not everywhere)
        self.norm2 = nn.LayerNorm(width, eps=EPS)
        self.mlp = VitMlp(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchEmbedding(nn.Module):
    """Embed patches by a strided convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH, stride=PATCH)

    def forward(self, image: Tensor) -> Tensor:
        """``(B, 3, S, S)`` -> ``(B, S/16, S/16, C)``."""
        return self.proj(image).permute(0, 2, 3, 1)


class SamVit(nn.Module):
    """``(B, 3, 1024, 1024)`` normalised float32 RGB -> ``(B, 256, 64, 64)``.

    Args:
        size: a name of :data:`SIZES`, or another size.

    Raises:
        ValueError: the name is none of these.
    """

    def __init__(self, size: str | VitSize) -> None:
        super().__init__()
        if isinstance(size, str) and size not in SIZES:
            raise ValueError(f"SAM's ViT has no size {size!r}; expected one of {sorted(SIZES)}")
        shape = SIZES[size] if isinstance(size, str) else size
        self.patch_embed = PatchEmbedding(shape.width)
        self.pos_embed = nn.Parameter(torch.zeros(1, GRID, GRID, shape.width))
        self.blocks = nn.ModuleList(
            VitBlock(shape.width, shape.heads, index in shape.everywhere) for index in range(shape.depth)
        )
        self.neck = sam_neck(shape.width)

    def forward(self, image: Tensor) -> Tensor:
        sides = tuple(int(side) for side in image.shape[2:])
        if sides != (GRID * PATCH, GRID * PATCH):
            raise ValueError(f"SAM's ViT takes images of {GRID * PATCH} x {GRID * PATCH} pixels, not {sides}")
        x = self.patch_embed(image) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.neck(x.permute(0, 3, 1, 2))

    def fold_(self) -> SamVit:
        """Turn this encoder into its deployed form in place and return it (evaluation mode only)."""
        from .deployed_sam_vit import DeployedAttention

        for block in self.blocks:
            block.attn = DeployedAttention(cast("RelativeAttention", block.attn))
        return self
