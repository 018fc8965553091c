# SPDX-License-Identifier: Apache-2.0
"""Fuse the last stages of a backbone: the neck of EfficientViT-SAM and the head of the segmentation networks.

1x1 convolutions to one width, bicubic upsampling, a sum, residual blocks, 1x1 to the outputs (section 2.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import SAM_STYLE, ConvNormAct, FusedMBConv, MBConv, Residual, Sequence, Style


@dataclass(frozen=True)
class NeckConfig:
    """A neck by its numbers.

    Attributes:
        width: of the sum and of the blocks.
        depth: blocks.
        block: ``fmb`` or ``mb``.
        expand: expansion of the blocks.
        outputs: channels of the output.
        final_expand: expansion of a last 1x1 convolution before the output; 0: none.
        grid: side of the output in cells; 0: that of the finest input.
        plain_last: the finest input's convolution has no ``op_list`` in its key.
        style: activation and normalisation.
    """

    width: int
    depth: int
    block: Literal["fmb", "mb"]
    expand: int
    outputs: int
    final_expand: int = 0
    grid: int = 0
    plain_last: bool = False
    style: Style = SAM_STYLE


class Neck(nn.Module):
    """Features ``(B, widths[i], h, w)``, deepest first -> ``(B, outputs, H, W)``, raw."""

    def __init__(self, config: NeckConfig, widths: list[int]) -> None:
        super().__init__()
        self.grid = config.grid
        width, style = config.width, config.style
        projections = [ConvNormAct(inputs, width, 1, style=style) for inputs in widths]
        named: list[nn.Module] = [Sequence(projection) for projection in projections]
        if config.plain_last:
            named[-1] = projections[-1]
        self.input_ops = nn.ModuleList(named)
        block = FusedMBConv if config.block == "fmb" else MBConv
        self.middle = Sequence(
            *(Residual(block(width, width, expand=config.expand, style=style)) for _ in range(config.depth))
        )
        last = width * (config.final_expand or 1)
        out = [ConvNormAct(width, last, 1, act=True, style=style)] if config.final_expand else []
        out.append(ConvNormAct(last, config.outputs, 1, norm=False, bias=True, style=style))
        self.output_ops = nn.ModuleList([Sequence(*out)])

    def forward(self, features: list[Tensor]) -> Tensor:
        side = self.grid or int(features[-1].shape[-1])
        fused = None
        for project, feature in zip(self.input_ops, features, strict=True):
            x = project(feature)
            factor = side / int(x.shape[-1])
            if factor != 1:
                # In float32 also under autocast, as the official implementation does. By factor, not by
                # size: a size would be a shape tensor in the exported graph.
                wide = F.interpolate(x.float(), scale_factor=factor, mode="bicubic", align_corners=False)
                x = wide.to(x.dtype)
            fused = x if fused is None else fused + x
        return self.output_ops[0](self.middle(fused))
