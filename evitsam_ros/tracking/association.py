# SPDX-License-Identifier: Apache-2.0
"""Association: the appearance of objects, and the best assignment of tracks to masks."""

from __future__ import annotations

import cv2
import numpy as np


def appearance_embeddings(embedding: np.ndarray, masks: np.ndarray, cells: tuple[float, float]) -> np.ndarray:
    """Compute appearance embeddings: the mean under each mask less that of the frame, of length 1.

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


def is_similar(first: np.ndarray, second: np.ndarray, min_similarity: float) -> np.ndarray:
    """Compare appearance embeddings by their cosine.

    Args:
        first: ``(M, C)``.
        second: ``(K, C)``.
        min_similarity: min cosine.

    Returns:
        ``(M, K)`` bool; embeddings of length 0, as on a uniform image, are similar to any other.
    """
    blank = [~np.any(descriptions, axis=1, keepdims=True) for descriptions in (first, second)]
    return np.asarray(blank[0] | blank[1].T | (first @ second.T >= min_similarity))


def assign(scores: np.ndarray, min_score: float) -> list[tuple[int, int]]:
    """Assign rows to columns with the largest sum of scores.

    Returns:
        Pairs (row, column) with a score of ``min_score`` or more.
    """
    if not scores.size:
        return []
    # A third of the node's imports, needed with objects only.
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(np.where(scores >= min_score, scores, 0.0), maximize=True)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if scores[r, c] >= min_score]
