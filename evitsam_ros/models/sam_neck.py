# SPDX-License-Identifier: Apache-2.0
"""The neck of SAM's image encoder, which every model of SAM's family keeps."""

from __future__ import annotations

from torch import nn

from .layers import LayerNorm2d


def sam_neck(inputs: int, outputs: int = 256) -> nn.Sequential:
    """Build the neck with its official keys: ``(B, inputs, h, w)`` -> ``(B, outputs, h, w)``."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, bias=False),
        LayerNorm2d(outputs, eps=1e-6),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        LayerNorm2d(outputs, eps=1e-6),
    )
