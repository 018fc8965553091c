# SPDX-License-Identifier: Apache-2.0
"""Losses of the tasks without prompts."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from evitsam_ros.dense.class_tables import IGNORED


def ohem_cross_entropy(
    logits: Tensor,
    target: Tensor,
    probability: float = 0.7,
    kept: float = 0.1,
    weights: Tensor | None = None,
) -> Tensor:
    """Cross entropy of the hard pixels (online hard example mining, Shrivastava et al. 2016).

    Args:
        logits: ``(B, C, H, W)``.
        target: ``(B, H, W)`` classes; :data:`IGNORED` counts for nothing.
        probability: pixels teach whose own class has less than this; 1: all.
        kept: of the labelled pixels at least this share teaches, the hardest.
        weights: ``(C,)``; the loss is the weighted mean over the pixels that teach.

    Returns:
        ``()`` float32; 0 where no pixel has a class.
    """
    target = target.long()
    losses = F.cross_entropy(logits.float(), target, ignore_index=IGNORED, reduction="none").reshape(-1)
    labelled = (target != IGNORED).reshape(-1)
    losses, classes = losses[labelled], target.reshape(-1)[labelled]
    if not len(losses):
        return logits.float().sum() * 0
    count = max(1, math.ceil(kept * len(losses)))
    hardest = losses.detach().topk(count).values[-1]
    # Whichever limit lets more pixels teach.
    chosen = losses.detach() >= hardest.clamp(max=-math.log(probability))
    losses, classes = losses[chosen], classes[chosen]
    if weights is None:
        return losses.mean()
    shares = weights[classes]
    return (losses * shares).sum() / shares.sum()


@torch.no_grad()
def pixel_accuracy(logits: Tensor, target: Tensor) -> Tensor:
    """Share of the labelled pixels whose class is right, ``()``."""
    labelled = target != IGNORED
    right = (logits.argmax(1) == target.long()) & labelled
    return right.sum() / labelled.sum().clamp(min=1)
