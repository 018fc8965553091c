# SPDX-License-Identifier: Apache-2.0
"""Convert the pixels of a batch to the input of an image encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from .dataset import Batch

M = TypeVar("M", bound=nn.Module)


def normalise(batch: Batch, mean: Tensor, std: Tensor) -> Tensor:
    """Normalise ``(B, S, S, 3)`` uint8 -> ``(B, 3, S, S)`` float32 by ``mean`` and ``std`` in 0..255; 0 in
    padding.
    """
    x = (batch.image.float() - mean) / std
    along = torch.arange(batch.image.shape[1], device=x.device)
    rows, columns = batch.valid[:, 0, None, None], batch.valid[:, 1, None, None]
    inside = (along[None, :, None] < rows) & (along[None, None] < columns)
    return (x * inside[..., None]).permute(0, 3, 1, 2)


def channels_last(module: M) -> M:
    """Convert convolution weights to the channels-last memory format, in place; return the module."""
    return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # no overload has it


def resized(x: Tensor, side: int) -> Tensor:
    """Resize ``(B, C, s, s)`` -> ``(B, C, side, side)``, antialiased when it shrinks."""
    if x.shape[-1] == side:
        return x
    return F.interpolate(x, (side, side), mode="bilinear", antialias=True)
