# SPDX-License-Identifier: Apache-2.0
"""Draw images without an object: no edges other than noise."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

if TYPE_CHECKING:
    from .dataset import Batch

#: Size group of the heat map of an empty image, see :func:`training.targets.proposal_targets`: large.
GROUP = 2


def uniform(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Draw one colour, ``(H, W, 3)`` uint8 RGB."""
    return np.full((*size, 3), rng.integers(0, 256, 3), np.uint8)


def gradient(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Draw a linear change of colour, as on a wall or in a sky."""
    height, width = size
    angle = rng.uniform(0, 2 * np.pi)
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    along = xs * np.cos(angle) + ys * np.sin(angle)
    along = (along - along.min()) / np.ptp(along)
    low, high = rng.uniform(20, 120, 3), rng.uniform(120, 235, 3)
    return (low + along[..., None] * (high - low)).astype(np.uint8)


def noise(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Draw one colour with independent noise at each pixel, as of a sensor in the dark."""
    values = rng.normal(rng.uniform(60, 190, 3), rng.uniform(2, 15), (*size, 3))
    return np.clip(values, 0, 255).astype(np.uint8)


def clouds(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Draw smooth changes of brightness: noise at 1/120 of the size, enlarged and blurred."""
    height, width = size
    coarse = rng.uniform(90, 160, (max(2, height // 120), max(2, width // 120))).astype(np.float32)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    smooth = cv2.GaussianBlur(smooth, (0, 0), max(height, width) / 16)
    return np.clip(smooth[..., None] * rng.uniform(0.6, 1.4, 3), 0, 255).astype(np.uint8)


#: Name -> function of (H, W) and a random generator.
KINDS = {"uniform": uniform, "gradient": gradient, "noise": noise, "clouds": clouds}


def replace_views(batch: Batch, share: float, generator: torch.Generator) -> Batch:
    """Replace a random share of the views by empty images.

    Data sets label objects, so that their views have no negative examples. In an empty image every mask has
    coverage 0, AutoPPN's heat is 0, and all cells belong to the group of large objects.
    """
    chosen = torch.rand(len(batch.image), generator=generator) < share
    if not chosen.any():
        return batch
    rng = np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))
    image, valid, coverage = batch.image.clone(), batch.valid.clone(), batch.coverage.clone()
    heat, group = batch.heat.clone(), batch.group.clone()
    height, width = batch.image.shape[1:3]
    for index in torch.nonzero(chosen)[:, 0].tolist():
        draw = list(KINDS.values())[rng.integers(len(KINDS))]
        image[index] = torch.from_numpy(draw((height, width), rng))
        valid[index] = torch.tensor((height, width))
        coverage[index], heat[index], group[index] = 0, 0, GROUP
    return replace(batch, image=image, valid=valid, coverage=coverage, heat=heat, group=group)
