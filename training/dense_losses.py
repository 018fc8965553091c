# SPDX-License-Identifier: Apache-2.0
"""Compute losses of the tasks without prompts."""

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
    """Compute the cross entropy of the hard pixels (online hard example mining, Shrivastava et al. 2016).

    Args:
        logits: ``(B, C, H, W)``.
        target: ``(B, H, W)`` classes; :data:`IGNORED` pixels are excluded.
        probability: pixels with a lower probability of their true class contribute; 1: all.
        kept: min share of the labelled pixels that contribute, the hardest first.
        weights: ``(C,)``; the loss is the weighted mean over the contributing pixels.

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
    # The limit that selects more pixels applies.
    chosen = losses.detach() >= hardest.clamp(max=-math.log(probability))
    losses, classes = losses[chosen], classes[chosen]
    if weights is None:
        return losses.mean()
    shares = weights[classes]
    return (losses * shares).sum() / shares.sum()


@torch.no_grad()
def pixel_accuracy(logits: Tensor, target: Tensor) -> Tensor:
    """Compute the share of labelled pixels with the right class, ``()``."""
    labelled = target != IGNORED
    right = (logits.argmax(1) == target.long()) & labelled
    return right.sum() / labelled.sum().clamp(min=1)
