# SPDX-License-Identifier: Apache-2.0
"""x2 super-resolution by EfficientViT modules: a reconstruction, not the network of the paper.

The paper (section 3.1, table 5) gives quality and latency of a network and of its 0.75 width form, but no
configuration, and no code was published. Its latencies scale with the pixels like those of a network at the
resolution of its input, so this one works at that resolution: groups of EfficientViT modules between
convolutions, as in other super-resolution networks, and pixel shuffle. It learns the residual of bicubic
upsampling. There is no batch normalisation, which costs quality in super-resolution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import Residual, Sequence, Style
from .linear_attention import EfficientViTModule

if TYPE_CHECKING:
    from ..network_specs import NetworkSpec

SCALE = 2
#: Width, groups, and modules in a group. The tiny one is for CPUs, and not in the paper.
SIZES = {
    "efficientvit_sr": (64, 4, 3),
    "efficientvit_sr_w075": (48, 4, 3),
    "efficientvit_sr_tiny": (32, 2, 1),
}
#: Expansion of the modules' MBConvs, and channels of an attention head.
EXPAND, HEAD_DIM = 4, 16
SR_STYLE = Style("gelu", 0.0, norm=False)


class SuperResolution(nn.Module):
    """``(B, 3, H, W)`` float32 RGB, 0..1 -> ``(B, 3, 2H, 2W)``, which can leave 0..1 a little."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        width, groups, modules = SIZES[spec.name]
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.groups = nn.ModuleList(Residual(_group(width, modules)) for _ in range(groups))
        self.fuse = nn.Conv2d(width, width, 3, padding=1)
        self.last = nn.Conv2d(width, 3 * SCALE**2, 3, padding=1)
        # Training starts from the bicubic image.
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(cast("Tensor", self.last.bias))

    def forward(self, image: Tensor) -> Tensor:
        x = start = self.first(image)
        for group in self.groups:
            x = group(x)
        details = F.pixel_shuffle(self.last(self.fuse(x) + start), SCALE)
        coarse = F.interpolate(image.float(), scale_factor=SCALE, mode="bicubic", align_corners=False)
        return coarse + details


def _group(width: int, modules: int) -> Sequence:
    attention = (EfficientViTModule(width, EXPAND, 5, HEAD_DIM, SR_STYLE) for _ in range(modules))
    return Sequence(*attention, nn.Conv2d(width, width, 3, padding=1))
