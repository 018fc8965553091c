# SPDX-License-Identifier: Apache-2.0
"""Who is who: scores between known and found objects, and the best assignment of one to the other."""

from __future__ import annotations

import cv2
import numpy as np


def describe(embedding: np.ndarray, masks: np.ndarray, cells: tuple[float, float]) -> np.ndarray:
    """What objects look like: the mean embedding under each mask less that of the frame, of length 1.

    Args:
        embedding: ``(1, C, h, w)`` of the image encoder.
        masks: ``(M, H, W)`` bool on the visible cells of the low-res logits.
        cells: cells of the low-res logits to a cell of the embedding, y and x.

    Returns:
        ``(M, C)`` float32.
    """
    grid = tuple(
        min(n, int(np.ceil(size / c)))
        for n, size, c in zip(embedding.shape[2:], masks.shape[1:], cells, strict=True)
    )
    seen = embedding[0, :, : grid[0], : grid[1]].reshape(embedding.shape[1], -1).T
    shares = np.stack(
        [cv2.resize(m.astype(np.float32), grid[::-1], interpolation=cv2.INTER_AREA).ravel() for m in masks]
        or [np.zeros(len(seen), np.float32)]
    )[: len(masks)]
    means = shares @ (seen - seen.mean(0)) / np.maximum(shares.sum(1, keepdims=True), 1e-6)
    norms = np.linalg.norm(means, axis=1, keepdims=True)
    return np.asarray(means / np.maximum(norms, 1e-6), np.float32)


def alike(first: np.ndarray, second: np.ndarray, likeness: float) -> np.ndarray:
    """``(M, C)`` and ``(K, C)`` descriptions -> ``(M, K)`` bool: their cosine is ``likeness`` or more.

    Descriptions of length 0, as on a uniform embedding, tell nothing, and are like any other.
    """
    blank = [~np.any(descriptions, axis=1, keepdims=True) for descriptions in (first, second)]
    return np.asarray(blank[0] | blank[1].T | (first @ second.T >= likeness))


def assign(scores: np.ndarray, least: float) -> list[tuple[int, int]]:
    """Pairs (row, column) of the assignment with the largest sum of scores, those of ``least`` or more."""
    if not scores.size:
        return []
    from scipy.optimize import (
        linear_sum_assignment,
    )  # a third of the node's imports, needed with objects alone

    rows, columns = linear_sum_assignment(np.where(scores >= least, scores, 0.0), maximize=True)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if scores[r, c] >= least]
