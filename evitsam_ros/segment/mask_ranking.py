# SPDX-License-Identifier: Apache-2.0
"""Rank the three masks of a prompt.

A single point may refer to three objects, and SAM's decoder predicts the IoU of each mask from a token. After
a short training, it often ranks them wrongly. The expected IoU is computed from the logits and needs no
training: a mask with a confident outline is more often the intended one. This holds among the masks of one
point only; predicted IoU compares those of different prompts better. It is ours, and not in the papers; a
bundle defines its share of the rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .prompt import Prompt
    from .transform import Transform


@dataclass(frozen=True)
class Selection:
    """Select masks of a decoder call.

    Attributes:
        prompts: ``(K,)`` numbers of their prompts in the call.
        masks: ``(K,)`` which of the prompt's three masks each is.
        places: ``(K,)`` their places among the prompt's answers.
        scores: ``(K,)`` predicted IoU.
    """

    prompts: np.ndarray
    masks: np.ndarray
    places: np.ndarray
    scores: np.ndarray

    @classmethod
    def choose(cls, iou: np.ndarray, rank: np.ndarray, multimask: bool, min_score: float) -> Selection:
        """Choose all masks, or each prompt's first by rank; without those of less than the min score.

        Args:
            iou: ``(B, 3)`` predicted IoU.
            rank: ``(B, 3)`` larger for a better mask of the same prompt.
            multimask: choose all three.
            min_score: min predicted IoU.
        """
        chosen = np.tile(np.arange(iou.shape[1]), (len(iou), 1)) if multimask else rank.argmax(1)[:, None]
        found = np.take_along_axis(iou, chosen, axis=1)
        prompts, places = np.nonzero(~(found < min_score))  # NaN stays, so that a proof of a runtime finds it
        return cls(prompts, chosen[prompts, places], places, found[prompts, places])


def rank_masks(
    prompt: Prompt, iou: np.ndarray, logits: np.ndarray, transform: Transform, share: float
) -> np.ndarray:
    """Rank the three masks of each prompt.

    Args:
        prompt: one of the prompts, which all have the same kind.
        iou: ``(B, 3)`` predicted IoU.
        logits: ``(B, 3, h, w)`` low-res logits.
        transform: geometry of the image.
        share: share of the expected IoU in the rank of a single point's masks; the rest is predicted IoU.

    Returns:
        ``(B, 3)``, larger for a better mask of the same prompt.
    """
    if not share or not is_ambiguous(prompt):
        return iou
    height, width = transform.visible_cells
    return (1 - share) * iou + share * expected_iou(logits[..., :height, :width])


def is_ambiguous(prompt: Prompt) -> bool:
    """Return whether a prompt is a single point."""
    return len(prompt.points) == 1 and prompt.box is None and prompt.mask is None


def expected_iou(logits: np.ndarray) -> np.ndarray:
    """Compute the IoU that a mask has if its logits are true.

    ``sum_in p / (|in| + sum_out p)`` with ``p`` the sigmoid of the logits and ``in`` where these are > 0.

    Args:
        logits: ``(..., h, w)`` float32, without padding.

    Returns:
        ``(...)`` float32 in 0..1; 0 for an empty mask.
    """
    inside = logits > 0
    probability = np.exp(np.minimum(-logits, 80.0))  # beyond that float32 overflows
    probability += 1
    np.reciprocal(probability, out=probability)
    overlap = np.where(inside, probability, 0).sum((-2, -1))
    union = inside.sum((-2, -1)) + probability.sum((-2, -1)) - overlap
    return np.asarray(overlap / np.maximum(union, 1e-6), np.float32)
