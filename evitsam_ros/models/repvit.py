# SPDX-License-Identifier: Apache-2.0
"""Use RepViT as the image encoder of RepViT-SAM and EdgeSAM, of ``timm``'s layers. RepViT-SAM has RepViT-M2.3
with a last stage that does not halve the map. EdgeSAM takes RepViT-M1 as it is, and adds the maps of strides
16 and 32. Both end with SAM's neck. Deployed, the branches of a token mixer are one depthwise convolution and
batch norms are folded, both by ``timm``.
"""

from __future__ import annotations

import re
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import sam_neck
from .timm_backbone import import_timm

#: Width of the sum of EdgeSAM's two maps.
PYRAMID_WIDTH = 256
_LAYER = re.compile(r"^(features\.\d+\.(?:token_mixer\.\d|channel_mixer\.m\.\d|\d))\.(.*)$")


class RepVitEncoder(nn.Module):
    """``(B, 3, S, S)`` normalised float32 RGB, S a multiple of 32 -> ``(B, 256, S/16, S/16)``.

    Args:
        backbone: ``timm`` name.
        pyramid: EdgeSAM's sum of two maps; else the last stage keeps stride 16.

    Raises:
        ValueError: ``timm`` is not installed.
    """

    def __init__(self, backbone: str, pyramid: bool) -> None:
        super().__init__()
        self.trunk = import_timm().create_model(backbone, num_classes=0)
        stages, last = self.trunk.stages, self.trunk.num_features
        self.fuse_stage2: nn.Conv2d | None = None
        self.fuse_stage3: nn.Conv2d | None = None
        if pyramid:
            self.fuse_stage2 = nn.Conv2d(self.trunk.embed_dim[-2], PYRAMID_WIDTH, 1, bias=False)
            self.fuse_stage3 = nn.Conv2d(last, PYRAMID_WIDTH, 1, bias=False)
        else:
            stages[-1].downsample.spatial_downsample.c.stride = (1, 1)
        self.neck = sam_neck(PYRAMID_WIDTH if pyramid else last)
        self._ours = dict(_names([len(stage.blocks) for stage in stages]))

    def forward(self, image: Tensor) -> Tensor:
        x = self.trunk.stem(image)
        for stage in self.trunk.stages[:-1]:
            x = stage(x)
        last = self.trunk.stages[-1]
        # EdgeSAM counts the block before the downsampling to the stage before.
        stride16 = last.downsample.pre_block(x)
        x = last.downsample.channel_downsample(last.downsample.spatial_downsample(stride16))
        x = last.blocks(x + last.downsample.ffn(x))
        return self.neck(x if self.fuse_stage2 is None else self._fused(stride16, x))

    def _fused(self, stride16: Tensor, stride32: Tensor) -> Tensor:
        coarse = cast("nn.Conv2d", self.fuse_stage3)(stride32)
        doubled = F.interpolate(coarse.float(), scale_factor=2, mode="bicubic", align_corners=False)
        return cast("nn.Conv2d", self.fuse_stage2)(stride16) + doubled.to(coarse.dtype)

    def our_name(self, name: str) -> str | None:
        """Translate a name of an official checkpoint; none of them is unused."""
        name = name.replace("fuse_stage3.op_list.0.", "fuse_stage3.")
        layer = _LAYER.match(name)
        return f"{self._ours[layer[1]]}.{layer[2]}" if layer and layer[1] in self._ours else name

    @torch.no_grad()
    def fold_(self) -> RepVitEncoder:
        """Turn this encoder into its deployed form in place and return it (evaluation mode only)."""
        self.trunk.fuse()
        return self


def _names(depths: list[int]) -> list[tuple[str, str]]:
    """Official names of layers and ours, for stages of so many blocks after their downsampling."""
    names = [("features.0.0", "trunk.stem.conv1"), ("features.0.2", "trunk.stem.conv2")]
    number = 1

    def block(ours: str) -> None:
        nonlocal number
        parts = ("token_mixer", "se", "channel_mixer.conv1", "channel_mixer.conv2")
        theirs = ("token_mixer.0", "token_mixer.1", "channel_mixer.m.0", "channel_mixer.m.2")
        names.extend((f"features.{number}.{a}", f"{ours}.{b}") for a, b in zip(theirs, parts, strict=True))
        number += 1

    for index, depth in enumerate(depths):
        stage = f"trunk.stages.{index}"
        if index:
            block(f"{stage}.downsample.pre_block")
            parts = ("spatial_downsample", "channel_downsample", "ffn.conv1", "ffn.conv2")
            theirs = ("token_mixer.0", "token_mixer.2", "channel_mixer.m.0", "channel_mixer.m.2")
            names += [
                (f"features.{number}.{a}", f"{stage}.downsample.{b}")
                for a, b in zip(theirs, parts, strict=True)
            ]
            number += 1
        for place in range(depth):
            block(f"{stage}.blocks.{place}")
    return names
