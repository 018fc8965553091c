# SPDX-License-Identifier: Apache-2.0
"""Compute the losses of Lite-SAM (paper sections 3.3, 3.4 and 4.2) and of EfficientViT-SAM (section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

#: Lower limits of the paper's medium and large size groups, max(h / H, w / W) (section 3.3, item 3).
GROUP_EDGES = (0.05, 0.25)
#: Scale of the box distances in each group, so that small and large objects have equal weight.
GROUP_SCALES = (0.05, 0.25, 1.0)


def focal_loss(
    logits: Tensor, target: Tensor, pixels: Tensor | None = None, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    """Compute the sigmoid focal loss (Lin et al. 2018), mean over the last two axes; soft targets allowed.

    ``pixels``, here and in the other losses, are weights that broadcast to ``logits``.
    """
    bce = F.binary_cross_entropy_with_logits(logits, target, weight=pixels, reduction="none")
    probability = torch.sigmoid(logits)
    miss = probability * (1 - target) + (1 - probability) * target
    weight = alpha * target + (1 - alpha) * (1 - target)
    return (weight * miss.pow(gamma) * bce).mean((-2, -1))


def bce_loss(logits: Tensor, target: Tensor, pixels: Tensor | None = None) -> Tensor:
    """Compute the binary cross entropy, mean over the last two axes."""
    return F.binary_cross_entropy_with_logits(logits, target, weight=pixels, reduction="none").mean((-2, -1))


def sized_bce_loss(logits: Tensor, target: Tensor, pixels: Tensor | None = None) -> Tensor:
    """Compute the binary cross entropy, normalised by the geometric mean of object area and view area.

    A mean over the view leaves almost no gradient for a small object.
    """
    bce = F.binary_cross_entropy_with_logits(logits, target, weight=pixels, reduction="none").sum((-2, -1))
    view = target.shape[-2] * target.shape[-1]
    return bce / (target.sum((-2, -1)).clamp(min=16.0) * view).sqrt()


PIXEL_LOSSES = {"focal": focal_loss, "bce": bce_loss, "sized_bce": sized_bce_loss}


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Compute ``1 - 2 |A n B| / (|A| + |B|)`` of probabilities over the last two axes, with one pixel of
    slack.
    """
    probability = torch.sigmoid(logits)
    overlap = 2 * (probability * target).sum((-2, -1))
    return 1 - (overlap + 1) / (probability.sum((-2, -1)) + target.sum((-2, -1)) + 1)


def hard_iou(logits: Tensor, target: Tensor) -> Tensor:
    """Compute the IoU of the thresholded masks over the last two axes, in 0..1; no gradient."""
    prediction, truth = logits > 0, target > 0.5
    intersection = (prediction & truth).sum((-2, -1)).float()
    union = (prediction | truth).sum((-2, -1)).float()
    return intersection / union.clamp(min=1)


def has_pixel(coverage: Tensor) -> Tensor:
    """Return whether each of the ``(B, h, w)`` coverages is not empty, ``(B,)`` bool."""
    return coverage.flatten(1).amax(1) > 0


@dataclass(frozen=True)
class MaskLossWeights:
    """Hold the weights of equation 2; ``pixel`` is ``focal`` (the papers), ``bce`` or ``sized_bce`` (cold
    start).
    """

    pixel: str = "focal"
    pixel_weight: float = 10.0
    dice_weight: float = 1.0
    iou_weight: float = 1.0
    #: Weight of the pixels outside of a prompted box: without it small masks spill over their boxes.
    outside_weight: float = 1.0
    #: Weight of the masks other than the best one, so that each output token is trained; 0 in the papers.
    other_masks: float = 0.0
    #: Weight of :func:`rank_loss`, which is not in the papers.
    rank_weight: float = 0.0


def mask_loss(
    logits: Tensor,
    iou: Tensor,
    target: Tensor,
    unambiguous: Tensor,
    weights: MaskLossWeights,
    outside: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Compute the loss of three masks per prompt; only the best one is trained (section 3.2).

    A prompt without an object (coverage 0) trains only the predicted IoU, with target 0.

    Args:
        logits: ``(B, 3, h, w)``.
        iou: predicted IoU, ``(B, 3)``.
        target: coverage of the cells in 0..1, ``(B, h, w)``.
        unambiguous: ``(B,)`` bool; these prompts (boxes) train all three masks.
        weights: of the terms.
        outside: ``(B, h, w)`` bool, cells outside of the prompted box; None without boxes.

    Returns:
        The loss, and the ``(B,)`` IoU of the mask that the model ranks first.
    """
    taught = has_pixel(target)
    target = target[:, None].expand_as(logits)
    pixels = None
    if outside is not None and weights.outside_weight != 1:
        pixels = torch.where(outside, weights.outside_weight, 1.0)[:, None].expand_as(logits)
    pixel = PIXEL_LOSSES[weights.pixel](logits, target, pixels)
    per_mask = weights.pixel_weight * pixel + weights.dice_weight * dice_loss(logits, target)
    best, mean = per_mask.min(dim=1).values, per_mask.mean(dim=1)
    share = torch.where(unambiguous, 1.0, weights.other_masks)
    true_iou = hard_iou(logits.detach(), target)
    ranked = true_iou.gather(1, iou.detach().argmax(1, keepdim=True))[:, 0]
    masks = ((1 - share) * best + share * mean) * taught
    loss = masks.mean() + weights.iou_weight * F.mse_loss(iou, true_iou)
    if weights.rank_weight:
        loss = loss + weights.rank_weight * rank_loss(iou, true_iou)
    return loss, ranked


def rank_loss(iou: Tensor, true_iou: Tensor, sharpness: float = 20.0) -> Tensor:
    """Compute the loss of IoU by selecting the mask of max predicted IoU, with a softmax over the masks.

    A squared error hardly penalises a wrong order of a prompt's masks, and the order selects the mask.
    ``iou`` and ``true_iou`` are ``(B, M)``.
    """
    taken = (torch.softmax(sharpness * iou, dim=1) * true_iou).sum(1)
    return (true_iou.amax(1) - taken).mean()


def proposal_loss(
    heat: Tensor,
    box: Tensor,
    target_heat: Tensor,
    target_box: Tensor,
    group: Tensor,
    kind: str = "mined_mse",
    *,
    grouping: bool = True,
) -> tuple[Tensor, Tensor]:
    """Compute AutoPPN's heat and box losses: means within size groups, summed (equation 1, section 3.3).

    Args:
        heat: output before the sigmoid, ``(B, 1, h, w)``.
        box: output before softplus, ``(B, 4, h, w)``.
        target_heat: normalised distance transform (or Gaussian), ``(B, h, w)``.
        target_box: distances l, t, r, b as fractions of the side, ``(B, 4, h, w)``.
        group: 0 small, 1 medium, 2 large, -1 unlabelled (excluded), ``(B, h, w)``.
        kind: ``mined_mse``, the paper's hard-mined MSE, or ``focal``, CenterNet's (ablation, table 2).
        grouping: False takes all sizes as one group (ablation, table 2).
    """
    distance = F.softplus(box)
    heat_loss, box_loss = heat.sum() * 0, box.sum() * 0
    groups = [(group == index, scale) for index, scale in enumerate(GROUP_SCALES)]
    for inside, scale in groups if grouping else [(group >= 0, 1.0)]:
        positive = inside & (target_heat >= 0.5)
        if not inside.any():
            continue
        heat_loss = heat_loss + HEAT_LOSSES[kind](heat[:, 0], target_heat, positive, inside & ~positive)
        if positive.any():
            difference = F.smooth_l1_loss(distance / scale, target_box / scale, reduction="none")
            box_loss = box_loss + difference.mean(1)[positive].mean()
    return heat_loss, box_loss


def hard_mined_mse(
    logits: Tensor, target: Tensor, positive: Tensor, negative: Tensor, ratio: int = 3
) -> Tensor:
    """Compute the mean square over positives and ``ratio`` hard negatives per positive, min 64 (OHEM)."""
    error = (torch.sigmoid(logits) - target).pow(2)
    others = error[negative]
    count = min(others.numel(), max(64, ratio * int(positive.sum())))
    hardest = others.topk(count).values if count else others
    return torch.cat([error[positive], hardest]).mean()


def centre_focal(logits: Tensor, target: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Compute CenterNet's focal loss (Zhou et al. 2019, equation 1) of labelled pixels, over their peaks."""
    peaks = (positive | negative) & (target >= 1 - 1e-4)
    others = (positive | negative) & ~peaks
    log_yes, log_no = F.logsigmoid(logits), F.logsigmoid(-logits)
    probability = torch.sigmoid(logits)
    hits = (1 - probability[peaks]).pow(2) * log_yes[peaks]
    misses = (1 - target[others]).pow(4) * probability[others].pow(2) * log_no[others]
    return -(hits.sum() + misses.sum()) / max(1, int(peaks.sum()))


HEAT_LOSSES = {"mined_mse": hard_mined_mse, "focal": centre_focal}
