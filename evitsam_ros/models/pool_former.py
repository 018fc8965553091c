# SPDX-License-Identifier: Apache-2.0
"""PoolFormer-S12 of ``timm`` with LiteViT's neck: the baseline of Lite-SAM's table 1.

A reconstruction. At 640x640 the paper prints 45.2 GMAC, and PoolFormer-S12 with strides 4, 8, 16 and 32 has
14.8. An embedding of stride 16 asks for smaller strides. With strides 4, 8, 8 and 16 all layers of ``timm``
and LiteViT's neck have 11.8 M parameters and 45.7 GMAC (published: 11.9 and 45.2). The third merge stays as
it is, and its output is interpolated: with a stride of 1 there would be 47.5 GMAC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from torch import Tensor, nn
from torch.nn import functional as F

from .lite_vit import LiteViTNeck
from .lite_vit_steps import LAYOUTS
from .timm_backbone import import_timm

if TYPE_CHECKING:
    from collections.abc import Iterable

POOLFORMER = "poolformer_s12"
#: Index of the stage that works at twice the resolution of ``timm``'s.
DENSER_STAGE = 2


class PoolFormerEncoder(nn.Module):
    """``(B, 3, S, S)`` normalised float32 RGB -> ``(B, 256, S/16, S/16)``; S a multiple of 16.

    Raises:
        ValueError: ``timm`` is not installed.
    """

    def __init__(self) -> None:
        super().__init__()
        trunk = import_timm().create_model(POOLFORMER, features_only=False, num_classes=0)
        self.stem, self.stages = trunk.stem, trunk.stages
        widths = [info["num_chs"] for info in trunk.feature_info]
        self.neck = LiteViTNeck(widths[1:], LAYOUTS["x1"].neck, pools=(2, 2, 1))

    def forward(self, image: Tensor) -> Tensor:
        x, features = self.stem(image), []
        for index, stage in enumerate(cast("Iterable[nn.Module]", self.stages)):
            x = stage.get_submodule("downsample")(x)
            if index == DENSER_STAGE:
                x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = stage.get_submodule("blocks")(x)
            features.append(x)
        return self.neck(features[1:])

    def fold_(self) -> PoolFormerEncoder:
        """Fold the batch norms of the neck in place and return this encoder (evaluation mode only)."""
        self.neck.fold_()
        return self
