# SPDX-License-Identifier: Apache-2.0
"""Score BSDS500 boundaries of everything mode's masks: ODS, OIS, AP and R50 (Lite-SAM, table 7).

Edge maps as in "Segment Anything", appendix D.2: Sobel of each mask's probabilities, restricted to the mask's
outer border, the maximum over all masks, thinned by non-maximum suppression. The benchmark is that of
Arbelaez et al. 2011: one-to-one matching within a tolerance, against every annotator.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy.sparse.csgraph import maximum_bipartite_matching
from scipy.spatial import cKDTree
from skimage.morphology import thin
from skimage.segmentation import felzenszwalb
from tqdm import tqdm

from .recall import recall_thresholds

if TYPE_CHECKING:
    from collections.abc import Callable

    from evitsam_ros.segment import Masks, Segmenter

    from ..records import Record

#: Max distance of a match, as a share of the image diagonal.
TOLERANCE = 0.0075


def edge_map(masks: Masks) -> np.ndarray:
    """Compute the edge strength of masks, ``(H, W)`` float32 in 0..1."""
    height, width = masks.image_size
    rows, cols = masks.transform.upsampling()
    edges = np.zeros((height, width), np.float32)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    for logits in masks.logits:
        full = (rows @ logits @ cols.T).astype(np.float32)
        inside = (full > 0).astype(np.uint8)
        border = cv2.dilate(inside, kernel) - cv2.erode(inside, kernel)
        probability = 1 / (1 + np.exp(-np.clip(full, -30, 30)))
        across, down = (cv2.Sobel(probability, cv2.CV_32F, *order, ksize=3) / 4 for order in ((1, 0), (0, 1)))
        edges = np.maximum(edges, np.hypot(across, down) * border)
    return suppress(edges / max(float(edges.max()), 1e-9))


def suppress(edges: np.ndarray) -> np.ndarray:
    """Suppress pixels that are not a maximum across the edge (Dollar and Zitnick 2015, edgesNms)."""
    smooth = cv2.GaussianBlur(edges, (0, 0), 2.0)
    down, across = np.gradient(smooth)
    xy, xx = np.gradient(across)
    yy = np.gradient(down)[0]
    normal = np.arctan2(yy * np.sign(-xy), xx + 1e-5)
    ys, xs = np.indices(edges.shape, np.float32)
    kept = edges.astype(np.float32).copy()
    for reach in (-1.0, 1.0):
        at_x = (xs + reach * np.cos(normal)).astype(np.float32)
        at_y = (ys + reach * np.sin(normal)).astype(np.float32)
        beside = cv2.remap(
            edges.astype(np.float32), at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        kept[edges * 1.01 < beside] = 0
    return kept


def boundaries(record: Record) -> list[np.ndarray]:
    """Compute ``(H, W)`` bool boundaries, one pixel wide, of every annotator."""
    found = []
    for annotator in np.unique(record.annotators):
        indices = np.flatnonzero(record.annotators == annotator)
        masks = [record.read_mask(index).astype(bool) for index in indices.tolist()]
        labels = np.zeros((record.height, record.width), int)
        for number, mask in sorted(enumerate(masks, 1), key=lambda entry: -entry[1].sum()):
            labels[mask] = number
        found.append(label_boundaries(labels))
    return found


def label_boundaries(labels: np.ndarray) -> np.ndarray:
    """Compute the thinned pixels with a right or lower neighbour of another label."""
    edge = np.zeros(labels.shape, bool)
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    edge[:-1] |= labels[:-1] != labels[1:]
    return thin(edge)


def match_pixels(a: np.ndarray, b: np.ndarray, distance: float) -> tuple[np.ndarray, np.ndarray]:
    """Match pixels of two bool maps one to one within ``distance``, as many as possible."""
    first, second = np.argwhere(a), np.argwhere(b)
    hit_a, hit_b = np.zeros(len(first), bool), np.zeros(len(second), bool)
    if len(first) and len(second):
        near = cKDTree(first).sparse_distance_matrix(cKDTree(second), distance, output_type="coo_matrix")
        near.data[:] = 1  # a sparse matrix has no entry for 0
        partner = maximum_bipartite_matching(near.tocsr(), perm_type="column")
        hit_a = partner >= 0
        hit_b[partner[hit_a]] = True
    return hit_a, hit_b


def edge_counts(edges: np.ndarray, truths: list[np.ndarray], thresholds: np.ndarray) -> np.ndarray:
    """Count ``(T, 4)``: matched and all true boundary pixels, matched and all predicted pixels."""
    distance = TOLERANCE * float(np.hypot(*edges.shape))
    rows = np.zeros((len(thresholds), 4))
    for row, threshold in zip(rows, thresholds, strict=True):
        detected = thin(edges >= threshold)
        right = np.zeros(int(detected.sum()), bool)
        for truth in truths:
            hits, found = match_pixels(detected, truth, distance)
            row[0] += found.sum()
            row[1] += truth.sum()
            right |= hits
        row[2:] = right.sum(), detected.sum()
    return rows


@dataclass(frozen=True)
class EdgeScore:
    """Hold scores in 0..1; ``thresholds`` with their ``precision`` and ``recall`` over all images."""

    ods: float
    ois: float
    ap: float
    r50: float
    thresholds: np.ndarray
    precision: np.ndarray
    recall: np.ndarray


def score_counts(counts: np.ndarray, thresholds: np.ndarray) -> EdgeScore:
    """Compute ODS, OIS and the curve from ``(N, T, 4)`` counts of :func:`edge_counts`."""
    recall, precision = _rates(counts.sum(0))
    best = _f_measure(*_rates(counts)).argmax(1)
    chosen = counts[np.arange(len(counts)), best].sum(0)
    order = np.unique(recall, return_index=True)[1]
    grid = np.linspace(0, 1, 101)
    inside = (grid >= recall[order[0]]) & (grid <= recall[order[-1]])
    ap = np.interp(grid[inside], recall[order], precision[order]).sum() / 100
    by_precision = np.unique(precision, return_index=True)[1]
    r50 = np.interp(max(0.5, precision.min()), precision[by_precision], recall[by_precision])
    return EdgeScore(
        ods=float(_f_measure(recall, precision).max()),
        ois=float(_f_measure(*_rates(chosen))),
        ap=float(ap),
        r50=float(r50),
        thresholds=thresholds,
        precision=precision,
        recall=recall,
    )


def _rates(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found, true, right, detected = np.moveaxis(counts, -1, 0)
    return found / np.maximum(true, 1), right / np.maximum(detected, 1)


def _f_measure(recall: np.ndarray, precision: np.ndarray) -> np.ndarray:
    return 2 * recall * precision / np.maximum(recall + precision, 1e-9)


def canny(image: np.ndarray) -> np.ndarray:
    """Return Canny's pixels with the gradient's magnitude (baseline)."""
    gray = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (0, 0), 2.0)
    strength = np.hypot(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1))
    return (strength * (cv2.Canny(gray, 10, 30) > 0) / max(float(strength.max()), 1e-9)).astype(np.float32)


def graph_segments(image: np.ndarray) -> np.ndarray:
    """Compute borders of Felzenszwalb's segments at several scales; the strength is their frequency
    (baseline).
    """
    scales = (50, 100, 200, 400, 800, 1600)
    votes = [label_boundaries(felzenszwalb(image, scale=s, sigma=0.8, min_size=40)) for s in scales]
    return np.asarray(np.mean(votes, axis=0, dtype=np.float32))


EDGE_BASELINES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Canny": canny,
    "Felzenszwalb": graph_segments,
}


def score_edges(
    segmenter: Segmenter | None,
    records: list[Record],
    max_prompts: int,
    thresholds: int,
    baselines: tuple[str, ...],
) -> dict[str, EdgeScore]:
    """Score everything mode and the baselines; one matching process per core."""
    levels = (np.arange(thresholds) + 1) / (thresholds + 1)
    methods: dict[str, Callable[[np.ndarray], np.ndarray]] = {n: EDGE_BASELINES[n] for n in baselines}
    if segmenter is not None:
        kept = recall_thresholds(segmenter)
        methods["everything"] = lambda image: edge_map(segmenter.everything(image, max_prompts, kept))
    waiting: dict[str, list] = {name: [] for name in methods}
    # Not forked: the runtimes of this process hold threads.
    with ProcessPoolExecutor(mp_context=get_context("forkserver")) as pool:
        for record in tqdm(records, desc="edges", unit="image", mininterval=2):
            image, truths = record.read_image(), boundaries(record)
            for name, draw in methods.items():
                waiting[name].append(pool.submit(edge_counts, draw(image), truths, levels))
        counts = {name: np.stack([w.result() for w in jobs]) for name, jobs in waiting.items()}
    return {name: score_counts(table, levels) for name, table in counts.items()}
