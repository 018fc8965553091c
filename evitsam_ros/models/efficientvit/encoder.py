# SPDX-License-Identifier: Apache-2.0
"""The image encoders of EfficientViT-SAM: backbone, neck, LayerNorm2d."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ..layers import LayerNorm2d
from .backbone import BACKBONES, Backbone
from .blocks import ConvNormAct, FusedMBConv, Residual, Sequence

#: The embedding's side, whatever the input: SAM's decoder expects 64x64.
GRID = 64
#: Depth and expansion of the neck's blocks.
NECKS = {"l0": (4, 1), "l1": (8, 1), "l2": (12, 1), "xl0": (6, 4), "xl1": (12, 4)}


class Neck(nn.Module):
    """Fuse the last three stages: 1x1, bicubic to 64x64, sum, fused MBConvs, 1x1."""

    def __init__(
        self, widths: list[int], depth: int, expand: int, inner: int = 256, outputs: int = 256
    ) -> None:
        super().__init__()
        self.input_ops = nn.ModuleList(Sequence(ConvNormAct(width, inner, 1)) for width in widths)
        self.middle = Sequence(*(Residual(FusedMBConv(inner, inner, expand=expand)) for _ in range(depth)))
        last = ConvNormAct(inner, outputs, 1, norm=False, bias=True)
        self.output_ops = nn.ModuleList([Sequence(last)])

    def forward(self, features: list[Tensor]) -> Tensor:
        """``features`` deepest first."""
        fused = None
        for project, feature in zip(self.input_ops, features, strict=True):
            x = project(feature)
            factor = GRID / int(x.shape[-1])
            if factor != 1:
                # In float32 also under autocast, as the official implementation does. By factor, not by
                # size: a size would be a shape tensor in the exported graph.
                wide = F.interpolate(x.float(), scale_factor=factor, mode="bicubic", align_corners=False)
                x = wide.to(x.dtype)
            fused = x if fused is None else fused + x
        return self.output_ops[0](self.middle(fused))


class EfficientViTSamEncoder(nn.Module):
    """``(B, 3, S, S)`` normalised float32 RGB -> ``(B, 256, 64, 64)``; S is 512 for L, 1024 for XL."""

    def __init__(self, size: str) -> None:
        super().__init__()
        config = BACKBONES[size]
        self.backbone = Backbone(config)
        self.neck = Neck(list(config.widths[:-4:-1]), *NECKS[size])
        self.norm = LayerNorm2d(256)

    def forward(self, image: Tensor) -> Tensor:
        features = self.backbone(image)
        return self.norm(self.neck(features[:-4:-1]))


def build_encoder(size: str) -> EfficientViTSamEncoder:
    """The encoder of ``l0``, ``l1``, ``l2``, ``xl0`` or ``xl1``; ``ValueError`` for another size."""
    if size not in BACKBONES:
        raise ValueError(f"EfficientViT-SAM size {size!r} is unknown; expected one of {', '.join(BACKBONES)}")
    return EfficientViTSamEncoder(size)
