# SPDX-License-Identifier: Apache-2.0
"""Weights and an image that anyone can make again: every tensor is drawn from a seed made of its name."""

import zlib

import numpy as np
import torch


def weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Lively weights for a state dict's names and shapes, such that activations stay of order one."""
    state = {}
    for name, shape in shapes.items():
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        value = rng.standard_normal(shape)
        if name.endswith("num_batches_tracked"):
            value = np.zeros(shape, np.int64)
        elif name.endswith("running_var"):
            value = 0.5 + 1.5 * rng.random(shape)
        elif name.endswith(("running_mean", "bias")):
            value *= 0.1
        elif "norm" in name and name.endswith("weight"):
            value = 0.8 + 0.4 * rng.random(shape)
        elif len(shape) > 1 and "gaussian" not in name:
            value /= np.sqrt(np.prod(shape[1:]))
        kind = torch.int64 if name.endswith("num_batches_tracked") else torch.float32
        state[name] = torch.tensor(value).to(kind)
    return state


def image(size: int) -> torch.Tensor:
    """``(1, 3, size, size)`` float32: waves of several lengths, as an image has."""
    ys, xs = np.mgrid[:size, :size] / size
    waves = [np.sin(2 * np.pi * (fx * xs + fy * ys)) for fx, fy in ((3, 5), (11, 2), (23, 31))]
    planes = [waves[0] + 0.5 * waves[1], waves[1] - 0.3 * waves[2], waves[2] + 0.2 * waves[0]]
    return torch.tensor(np.stack(planes)[None], dtype=torch.float32)


def sample(tensor: torch.Tensor, count: int = 256) -> np.ndarray:
    """``count`` values spread evenly over a tensor, float32."""
    flat = tensor.detach().reshape(-1)
    return flat[torch.linspace(0, flat.numel() - 1, count).long()].numpy()


#: Prompts in the 1024 frame: (points or None, labels, box or None, whether a mask is given).
PROMPTS = {
    "point": ([[300.0, 400.0], [500.0, 200.0]], [1, 0], None, False),
    "box": (None, None, [100.0, 120.0, 700.0, 650.0], False),
    "point_and_box": ([[300.0, 400.0]], [1], [100.0, 120.0, 700.0, 650.0], False),
    "mask": ([[512.0, 512.0]], [1], None, True),
}


def mask_prompt() -> torch.Tensor:
    """``(1, 1, 256, 256)`` low-res logits: a soft disc."""
    ys, xs = np.mgrid[:256, :256] - 128.0
    return torch.tensor((60 - np.hypot(xs, ys))[None, None] / 8, dtype=torch.float32)
