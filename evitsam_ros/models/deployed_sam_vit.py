# SPDX-License-Identifier: Apache-2.0
"""Attention of SAM's ViT as robots run it: the same function, less work and memory.

* Tokens that fill up a window are zero until the projection's bias, so projections do not see them.
* The scale is folded into the queries' weights, and its inverse into the tables of positions.
* Within windows the positions are further channels of queries and keys: one product makes the scores.
* Global attention goes by rows of queries, so that a robot need not hold all scores at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import from_windows, to_windows
from .static_reshape import reshape

if TYPE_CHECKING:
    from .sam_vit import RelativeAttention

#: Rows of queries that global attention looks at together.
ROWS = 16


class DeployedAttention(nn.Module):
    """The deployed form of :class:`~.sam_vit.RelativeAttention`: ``(B, H, W, C)``, shape-preserving."""

    @torch.no_grad()
    def __init__(self, attention: RelativeAttention) -> None:
        super().__init__()
        self.heads, self.side, self.windows = attention.heads, attention.side, attention.windows
        weight, bias = attention.qkv.weight.clone(), attention.qkv.bias.clone()
        width = attention.qkv.in_features
        weight[:width] *= attention.scale
        bias[:width] *= attention.scale
        self.project = nn.Linear(width, 3 * width, bias=False)
        self.project.weight.copy_(weight)
        self.shift = nn.Parameter(bias)
        self.proj = attention.proj
        # (place of the query, C, place of the key)
        rows, columns = (
            attention.table(table).transpose(1, 2).contiguous() / attention.scale
            for table in (attention.rel_pos_h, attention.rel_pos_w)
        )
        self.rows, self.columns = nn.Parameter(rows), nn.Parameter(columns)
        if self.windows:
            self.places = nn.Parameter(_places(self.side).to(weight))

    def forward(self, x: Tensor) -> Tensor:
        height, width = int(x.shape[1]), int(x.shape[2])
        side, heads = self.side, self.heads
        qkv = to_windows(self.project(x), side) + self.shift
        q, k, v = reshape(qkv, 0, side * side, 3, heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        by_place = reshape(q, 0, heads, side, side, -1)
        rows = by_place @ self.rows
        columns = (by_place.transpose(2, 3) @ self.columns).transpose(2, 3)
        look = self._within_window if self.windows else self._everywhere
        mixed = reshape(look(q, k, v, rows, columns).transpose(1, 2), 0, side, side, -1)
        return self.proj(from_windows(mixed, height, width))

    def _within_window(self, q: Tensor, k: Tensor, v: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        heads, length, side = self.heads, self.side**2, self.side
        rows, columns = (reshape(part, 0, heads, length, side) for part in (rows, columns))
        # Broadcasting by adding zero: expand() would need the number of windows as a shape tensor.
        places = self.places + k[..., :1] * 0
        scores = torch.cat([q, rows, columns], -1) @ torch.cat([k, places], -1).transpose(-2, -1)
        return scores.softmax(dim=-1) @ v

    def _everywhere(self, q: Tensor, k: Tensor, v: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        heads, side, keys = self.heads, self.side, k.transpose(-2, -1)
        parts = []
        for start in range(0, side, ROWS):
            count = min(ROWS, side - start)
            scores = q[:, :, start * side : (start + count) * side] @ keys
            scores = reshape(scores, 0, heads, count, side, side, side)
            scores = scores + rows[:, :, start : start + count, :, :, None]
            scores = scores + columns[:, :, start : start + count, :, None]
            parts.append(reshape(scores, 0, heads, count * side, -1).softmax(dim=-1) @ v)
        return torch.cat(parts, dim=2)


def _places(side: int) -> Tensor:
    """``(side * side, 2 * side)``: 1 at the row, and at the column, of each token of a window."""
    one = F.one_hot(torch.arange(side), side)
    return torch.cat([one.repeat_interleave(side, 0), one.repeat(side, 1)], dim=1)
