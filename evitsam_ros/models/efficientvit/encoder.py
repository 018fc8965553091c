# SPDX-License-Identifier: Apache-2.0
"""The image encoders of EfficientViT-SAM: backbone, neck, LayerNorm2d."""

from __future__ import annotations

from torch import Tensor, nn

from ..layers import LayerNorm2d
from .backbone import SAM_BACKBONES, Backbone
from .neck import Neck, NeckConfig

#: The embedding's side for every input size: SAM's decoder expects 64x64.
GRID = 64
#: Depth and expansion of the neck's blocks.
NECKS = {"l0": (4, 1), "l1": (8, 1), "l2": (12, 1), "xl0": (6, 4), "xl1": (12, 4)}


class EfficientViTSamEncoder(nn.Module):
    """``(B, 3, S, S)`` normalised float32 RGB -> ``(B, 256, 64, 64)``; S is 512 for L, 1024 for XL."""

    def __init__(self, size: str) -> None:
        super().__init__()
        config = SAM_BACKBONES[size]
        depth, expand = NECKS[size]
        self.backbone = Backbone(config)
        neck = NeckConfig(256, depth, "fmb", expand, outputs=256, grid=GRID)
        self.neck = Neck(neck, list(config.widths[:-4:-1]))
        self.norm = LayerNorm2d(256)

    def forward(self, image: Tensor) -> Tensor:
        features = self.backbone(image)
        return self.norm(self.neck(features[:-4:-1]))


def build_encoder(size: str) -> EfficientViTSamEncoder:
    """The encoder of ``l0``, ``l1``, ``l2``, ``xl0`` or ``xl1``; ``ValueError`` for another size."""
    if size not in SAM_BACKBONES:
        raise ValueError(
            f"EfficientViT-SAM size {size!r} is unknown; expected one of {', '.join(SAM_BACKBONES)}"
        )
    return EfficientViTSamEncoder(size)
