# SPDX-License-Identifier: Apache-2.0
"""ImageNet classifiers (EfficientViT, table 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from .backbone import BACKBONES, Backbone
from .blocks import ConvNormAct, Sequence, Style

if TYPE_CHECKING:
    from ..network_specs import NetworkSpec

#: Widths of the head's convolution and of its hidden layer.
HEADS = {
    "b0": (1024, 1280),
    "b1": (1536, 1600),
    "b2": (2304, 2560),
    "b3": (2304, 2560),
    "l1": (3072, 3200),
    "l2": (3072, 3200),
    "l3": (6144, 6400),
}


class LinearNormAct(nn.Module):
    """Linear layer, then layer normalisation and activation; or the linear layer alone, with a bias."""

    def __init__(self, inputs: int, outputs: int, style: Style | None = None) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=style is None)
        self.norm = None if style is None else nn.LayerNorm(outputs, eps=style.eps)
        self.act = None if style is None else style.activation()

    def forward(self, x: Tensor) -> Tensor:
        x = self.linear(x)
        return x if self.norm is None or self.act is None else self.act(self.norm(x))


class GlobalAverage(nn.Module):
    """``(B, C, H, W)`` -> ``(B, C)``."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3))


class Classifier(nn.Module):
    """``(B, 3, H, W)`` normalised float32 RGB -> logits ``(B, classes)``; H and W are multiples of 32.

    The state dict has the keys of the official checkpoints.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        config = BACKBONES[spec.backbone]
        wide, hidden = HEADS[spec.backbone]
        self.backbone = Backbone(config)
        self.head = Sequence(
            ConvNormAct(config.widths[-1], wide, 1, act=True, style=config.style),
            GlobalAverage(),
            LinearNormAct(wide, hidden, config.style),
            LinearNormAct(hidden, spec.classes),
        )

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.backbone(image)[-1])
