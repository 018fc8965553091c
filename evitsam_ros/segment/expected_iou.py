# SPDX-License-Identifier: Apache-2.0
"""How well a mask expects to fit, by its own logits: the IoU that it has if these are probabilities.

SAM's decoder predicts the IoU of its three masks from a token. Where it was trained on little, it often takes
the wrong one of a click's three, while their logits tell: a mask that is sure of its outline is more often
the right one. Ours, not in the papers; a bundle says how much of its scores it is.
"""

from __future__ import annotations

import numpy as np


def expected_iou(logits: np.ndarray, areas: np.ndarray | None = None) -> np.ndarray:
    """The share of the union that mask and object have in common, each by its expectation.

    ``sum_in p / (|in| + sum_out p)`` with ``p`` the sigmoid of the logits and ``in`` where these are > 0.

    Args:
        logits: ``(..., N)`` float32, N cells of a mask.
        areas: ``(..., N)`` of the cells, broadcast; all alike if not given.

    Returns:
        ``(...)`` float32 in 0..1; 0 for an empty mask.
    """
    inside = (logits > 0).astype(np.float32)
    probability = np.exp(np.minimum(-logits, 80.0))  # beyond that float32 overflows
    probability += 1
    np.reciprocal(probability, out=probability)
    if areas is not None:
        inside *= areas
        probability *= areas
    overlap = np.where(logits > 0, probability, 0).sum(-1)
    union = inside.sum(-1) + probability.sum(-1) - overlap
    return overlap / np.maximum(union, np.float32(1e-6))
