# SPDX-License-Identifier: Apache-2.0
"""Write and read the checkpoints that a killed run continues from; each write is atomic."""

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
    """Write the state of a run (tensors and plain numbers only) atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    torch.save(progress, temporary)
    temporary.replace(path)


def load_progress(path: Path) -> dict[str, Any]:
    """Read a file of :func:`save_progress`, on the CPU."""
    return torch.load(path, map_location="cpu", weights_only=True)


def current_parameter_name(name: str) -> str:
    """Return the present name of a parameter from a checkpoint of an earlier release."""
    return name.replace("feature_head.tell.", "feature_head.predict.")
