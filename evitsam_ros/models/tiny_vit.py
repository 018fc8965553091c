# SPDX-License-Identifier: Apache-2.0
"""TinyViT-5M as the image encoder of MobileSAM and TinySAM, of ``timm``'s layers.

As in MobileSAM, the last stage does not halve the map, so that it ends at stride 16, and SAM's neck follows.
The plain form is ``timm``'s. The deployed form computes the same with less work: batch norms are folded, and
tokens that fill up windows are neither projected nor normalised.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn

from .layers import from_windows, sam_neck, to_windows
from .static_reshape import reshape
from .timm_backbone import fold_batch_norms_, import_timm

#: Official names -> ours, in this order.
NAMES = (
    (r"^patch_embed\.seq\.0\.", "patch_embed.conv1."),
    (r"^patch_embed\.seq\.2\.", "patch_embed.conv2."),
    (r"^layers\.(\d+)\.downsample\.", lambda found: f"stages.{int(found[1]) + 1}.downsample."),
    (r"^layers\.", "stages."),
    (r"\.c\.", ".conv."),
)
#: Official names of the classifier that TinyViT was pretrained with; the embedding does not depend on it.
UNUSED = ("norm_head.", "head.")


class TinyVitEncoder(nn.Module):
    """``(B, 3, S, S)`` normalised float32 RGB, S a multiple of 16 -> ``(B, 256, S/16, S/16)``.

    Raises:
        ValueError: ``timm`` is not installed.
    """

    def __init__(self, backbone: str = "tiny_vit_5m_224") -> None:
        super().__init__()
        trunk = import_timm().create_model(backbone)
        self.patch_embed, self.stages = trunk.patch_embed, trunk.stages
        self.stages[-1].downsample.conv2.conv.stride = (1, 1)
        self.neck = sam_neck(trunk.num_features)

    def forward(self, image: Tensor) -> Tensor:
        return self.neck(self.stages(self.patch_embed(image)))

    @staticmethod
    def our_name(name: str) -> str | None:
        """Translate a name of an official checkpoint; None if these weights are not used here."""
        if name.startswith(UNUSED):
            return None
        for pattern, replacement in NAMES:
            name = re.sub(pattern, replacement, name)
        return name

    @torch.no_grad()
    def fold_(self) -> TinyVitEncoder:
        """Turn this encoder into its deployed form in place and return it (evaluation mode only)."""
        fold_batch_norms_(self)
        for stage in self.stages[1:]:
            stage.blocks = nn.Sequential(*(DeployedBlock(block) for block in stage.blocks))
        return self


class DeployedBlock(nn.Module):
    """Run a ``TinyVitBlock`` of ``timm`` with a folded batch norm: ``(B, H, W, C)``, shape-preserving."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.attention = DeployedAttention(block.attn, block.window_size)
        self.local_conv, self.mlp = block.local_conv, block.mlp

    def forward(self, x: Tensor) -> Tensor:
        x = (x + self.attention(x)).permute(0, 3, 1, 2)
        x = self.local_conv(x).permute(0, 2, 3, 1)
        return x + self.mlp(x)


class DeployedAttention(nn.Module):
    """Attention within windows with a table of biases by distance, on ``(B, H, W, C)``.

    A token that fills up a window is zero, so after the norm it is the norm's shift. With scale and shift of
    the norm folded into the projection it stays zero until the projection's bias: the projection need not
    see it, and nor does the output's.
    """

    def __init__(self, attention: Any, side: int) -> None:
        super().__init__()
        self.heads, self.side = attention.num_heads, side
        norm, qkv = attention.norm, attention.qkv
        self.norm = nn.LayerNorm(norm.normalized_shape, eps=norm.eps, elementwise_affine=False)
        weight, bias = qkv.weight * norm.weight, qkv.bias + qkv.weight @ norm.bias
        # timm's rows go by head, then q, k, v; here they go by q, k, v, then head.
        weight = weight.unflatten(0, (self.heads, 3, -1)).transpose(0, 1).contiguous()
        bias = bias.unflatten(0, (self.heads, 3, -1)).transpose(0, 1).contiguous()
        weight[0] *= attention.scale
        bias[0] *= attention.scale
        self.project = nn.Linear(qkv.in_features, qkv.out_features, bias=False)
        self.project.weight.copy_(weight.flatten(0, 2))
        self.shift = nn.Parameter(bias.flatten())
        self.biases = nn.Parameter(attention.attention_biases[:, attention.attention_bias_idxs])
        self.proj = attention.proj

    def forward(self, x: Tensor) -> Tensor:
        height, width = int(x.shape[1]), int(x.shape[2])
        side, heads = self.side, self.heads
        qkv = to_windows(self.project(self.norm(x)), side) + self.shift
        q, k, v = reshape(qkv, 0, side * side, 3, heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        weights = (q @ k.transpose(-2, -1) + self.biases).softmax(dim=-1)
        mixed = reshape((weights @ v).transpose(1, 2), 0, side, side, -1)
        return self.proj(from_windows(mixed, height, width))
