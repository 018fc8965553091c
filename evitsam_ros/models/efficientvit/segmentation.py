# SPDX-License-Identifier: Apache-2.0
"""Semantic segmentation networks (EfficientViT, section 2.2, tables 3 and 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from .backbone import BACKBONES, Backbone
from .neck import Neck, NeckConfig

if TYPE_CHECKING:
    from ..network_specs import NetworkSpec

#: Width, depth, kind and expansion of the head's blocks, and expansion before the classes.
HEADS: dict[tuple[str, str], tuple] = {
    ("b0", "cityscapes"): (32, 1, "mb", 4, 4),
    ("b0_no_multi_scale", "cityscapes"): (34, 1, "mb", 4, 4),
    ("b0_no_attention", "cityscapes"): (34, 1, "mb", 4, 4),
    ("b0_neither", "cityscapes"): (37, 1, "mb", 4, 4),
    ("b1", "cityscapes"): (64, 3, "mb", 4, 4),
    ("b2", "cityscapes"): (96, 3, "mb", 4, 4),
    ("b3", "cityscapes"): (128, 3, "mb", 4, 4),
    ("l1", "cityscapes"): (256, 3, "fmb", 1, 0),
    ("l2", "cityscapes"): (256, 5, "fmb", 1, 0),
    ("b1", "ade20k"): (64, 3, "mb", 4, 0),
    ("b2", "ade20k"): (96, 3, "mb", 4, 0),
    ("b3", "ade20k"): (128, 3, "mb", 4, 0),
    ("l1", "ade20k"): (128, 3, "fmb", 4, 8),
    ("l2", "ade20k"): (128, 3, "fmb", 4, 8),
}
#: A data set that has the heads of another one.
HEADS_OF = {"camvid": "cityscapes"}


class SegmentationNetwork(nn.Module):
    """``(B, 3, H, W)`` normalised float32 RGB -> raw logits ``(B, classes, H/8, W/8)``.

    H and W are multiples of 32. The state dict has the keys of the official checkpoints.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        config = BACKBONES[spec.backbone]
        width, depth, block, expand, final = HEADS[spec.backbone, HEADS_OF.get(spec.dataset, spec.dataset)]
        self.backbone = Backbone(config)
        neck = NeckConfig(
            width, depth, block, expand, spec.classes, final_expand=final, plain_last=True, style=config.style
        )
        self.head = Neck(neck, list(config.widths[:-4:-1]))

    def forward(self, image: Tensor) -> Tensor:
        height, width = (int(side) for side in image.shape[-2:])
        if height % 32 or width % 32:
            raise ValueError(f"the input is {height}x{width}; expected multiples of 32")
        return self.head(self.backbone(image)[:-4:-1])
