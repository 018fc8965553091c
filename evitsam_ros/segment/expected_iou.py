# SPDX-License-Identifier: Apache-2.0
"""How well a mask expects to fit, by its own logits: the IoU that it has if these are probabilities.

A lone point may mean three objects, and SAM's decoder predicts the IoU of its mask of each from a token.
Where it was trained on little, it often ranks them wrongly, while their logits tell: a mask that is sure of
its outline is more often the one that is meant. Among the masks of one point, that is: predicted IoU compares
those of different prompts better, and those of prompts that say more. Ours, not in the papers; a bundle says
how much of the rank it is.
"""

from __future__ import annotations

import numpy as np

from .prompt import Prompt


def is_ambiguous(prompt: Prompt) -> bool:
    """Whether a prompt is a lone point."""
    return len(prompt.points) == 1 and prompt.box is None and prompt.mask is None


def expected_iou(logits: np.ndarray) -> np.ndarray:
    """The share of the union that mask and object have in common, each by its expectation.

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
