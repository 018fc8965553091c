# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that a killed run can be continued from: written whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import Tensor

if TYPE_CHECKING:
    from pathlib import Path


def save_weights(state: dict[str, Tensor], path: Path) -> None:
    """Write a state dict as safetensors, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    save_file({name: tensor.detach().contiguous().clone() for name, tensor in state.items()}, temporary)
    temporary.replace(path)


def save_progress(progress: dict[str, Any], path: Path) -> None:
    """Write optimiser and counters, tensors and plain numbers only, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    torch.save(progress, temporary)
    temporary.replace(path)


def load_progress(path: Path) -> dict[str, Any]:
    """Read what :func:`save_progress` wrote, on the CPU."""
    return torch.load(path, map_location="cpu", weights_only=True)
