# SPDX-License-Identifier: Apache-2.0
"""Measure the cost of a model: parameters, multiply-adds, seconds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from evitsam_ros.models import create_model
from evitsam_ros.segment import Prompt, Segmenter

if TYPE_CHECKING:
    from collections.abc import Callable

    from evitsam_ros.models.sam import Sam


@dataclass(frozen=True)
class NetworkCost:
    """Hold ``parameters`` and ``macs`` (multiply-adds) of one call."""

    parameters: int
    macs: int


def network_costs(model: str | Sam) -> dict[str, NetworkCost]:
    """Count parameters and multiply-adds of the image encoder, the heads for one prompt, and AutoPPN.

    Args:
        model: a model, or its name in the registry.
    """
    model = create_model(model) if isinstance(model, str) else model
    spec = model.spec
    image = torch.zeros(1, 3, spec.image_size, spec.image_size)
    embedding = torch.zeros(1, *spec.embedding)
    no_mask = torch.zeros(1, 1, *spec.mask_size)
    high_res = tuple(torch.zeros(1, *shape) for shape in spec.high_res)
    prompt = (embedding, torch.zeros(1, 2, 2), torch.tensor([[2.0, 3.0]]), no_mask, torch.zeros(1), high_res)
    costs = {
        "image encoder": NetworkCost(_count(model.image_encoder), _macs(model.image_encoder, image)),
        "heads, one box": NetworkCost(
            _count(model.prompt_encoder) + _count(model.mask_decoder), _macs(model.decode, *prompt)
        ),
    }
    if model.auto_ppn is not None:
        costs["AutoPPN"] = NetworkCost(_count(model.auto_ppn), _macs(model.auto_ppn, embedding))
    return costs


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _macs(call: Callable[..., object], *inputs: torch.Tensor | tuple[torch.Tensor, ...]) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call(*inputs)
    return counter.get_total_flops() // 2


def seconds(segmenter: Segmenter, image: np.ndarray, max_prompts: int, repeats: int = 5) -> dict[str, float]:
    """Measure median seconds of a box and of everything mode on one image, after a warm-up."""
    height, width = image.shape[:2]
    box = Prompt.parse(box=(width / 4, height / 4, width * 3 / 4, height * 3 / 4))
    jobs = {
        "image and one box": lambda: segmenter.decode(segmenter.embed(image), [box]),
        f"everything, {max_prompts} prompts": lambda: segmenter.everything(image, max_prompts),
    }
    result = {}
    for name, job in jobs.items():
        job()
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            job()
            times.append(time.perf_counter() - start)
        result[name] = float(np.median(times))
    return result
