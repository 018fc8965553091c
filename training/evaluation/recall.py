# SPDX-License-Identifier: Apache-2.0
"""Mask AR@1000 of everything mode (Lite-SAM, table 6), by pycocotools, class-agnostic."""

from __future__ import annotations

import contextlib
import io
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from ..annotations import read_info
from .mask_metrics import GROUPS
from .spread import Spread, one_by_one, prompted_as

if TYPE_CHECKING:
    from pathlib import Path

    from evitsam_ros.segment import Segmenter, Thresholds

    from ..records import Record


def keep_all(segmenter: Segmenter) -> Thresholds:
    """Prompts as the bundle makes them; everything that is drawn counts: recall is what was found at all."""
    return segmenter.thresholds().replace(
        pred_iou_thresh=0.0, stability_score_thresh=0.0, box_nms_thresh=0.95, min_area=1.0
    )


def check_exhaustive(annotations: Path) -> None:
    """Raise ``ValueError`` unless everything in the images has a mask: what has none would be missed."""
    info = read_info(annotations)
    if info.get("exhaustive") is not True:
        said = info.get("exhaustive", "nothing")
        raise ValueError(
            f"{annotations.name}: mask AR needs images in which everything has a mask; its info says "
            f"exhaustive: {said}"
        )


def one_annotator(record: Record) -> np.ndarray:
    """Indices of the masks of the annotator who covered most of the image."""
    best, most = np.zeros(0, int), -1.0
    for annotator in np.unique(record.annotators):
        indices = np.flatnonzero(record.annotators == annotator)
        covered = np.zeros((record.height, record.width), bool)
        for index in indices.tolist():
            covered |= record.read_mask(index).astype(bool)
        share = float(covered.mean())
        if share > most:
            best, most = indices, share
    return best


def average_recall(
    truths: list[list[dict]], found: list[list[dict]], scores: list[np.ndarray], most: int = 1000
) -> dict[str, float]:
    """AR over IoU 0.5 to 0.95 with at most ``most`` masks per image, by COCO's sizes.

    Args:
        truths, found: RLE masks of every image.
        scores: of the found masks, best first when there are too many.
    """
    images: list[dict] = []
    annotations: list[dict] = []
    results: list[dict] = []
    for number, (wanted, masks, ranks) in enumerate(zip(truths, found, scores, strict=True), start=1):
        height, width = (int(n) for n in wanted[0]["size"])
        images.append({"id": number, "height": height, "width": width})
        for rle in wanted:
            area = float(_area(rle))
            entry = {"image_id": number, "category_id": 1, "segmentation": rle, "area": area, "iscrowd": 0}
            annotations.append({**entry, "id": len(annotations) + 1, "bbox": [0, 0, width, height]})
        for rle, score in zip(masks, ranks, strict=True):
            results.append({"image_id": number, "category_id": 1, "segmentation": rle, "score": float(score)})
    if not results:
        return dict.fromkeys(GROUPS, 0.0)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {"images": images, "annotations": annotations, "categories": [{"id": 1}]}
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "segm")
        evaluation.params.useCats = 0
        evaluation.params.maxDets = [1, 10, most]
        evaluation.evaluate()
        evaluation.accumulate()
    recall = evaluation.eval["recall"][:, 0, :, 2]  # IoU thresholds, area ranges
    return {
        size: float(column[column > -1].mean()) if (column > -1).any() else float("nan")
        for size, column in zip(GROUPS, recall.T, strict=True)
    }


def _area(rle: dict) -> int:
    from pycocotools import mask as codec

    return int(codec.area(rle))


def everything_recall(
    segmenter: Segmenter,
    records: list[Record],
    top_n: int,
    grid: int | None = None,
    *,
    foveal: bool = True,
    proposals_as: str = "",
    spread: Spread = one_by_one,
) -> dict[str, float]:
    """AR of everything mode: AutoPPN with ``top_n`` prompts, or ``grid`` squared points.

    Args:
        segmenter: to be scored.
        records: images in which everything has a mask.
        top_n: number of proposals.
        grid: points a side in place of proposals.
        foveal: see :meth:`Segmenter.decode`.
        proposals_as: decode proposals as ``boxes`` or ``points``; empty: as in the bundle.
        spread: scores records, here or on many workers.
    """
    job = partial(masks_of_record, top_n=top_n, grid=grid, foveal=foveal, proposals_as=proposals_as)
    found = list(spread(job, segmenter, records, "everything"))
    scores = [np.array(entry["scores"], np.float32) for entry in found]
    return average_recall([entry["truths"] for entry in found], [entry["found"] for entry in found], scores)


def masks_of_record(
    segmenter: Segmenter | None,
    record: Record,
    top_n: int,
    grid: int | None,
    *,
    foveal: bool,
    proposals_as: str,
) -> dict[str, list[Any]]:
    """Return the true masks of an image's best annotator and the masks found, as RLE, and their scores."""
    segmenter = prompted_as(segmenter, proposals_as)
    masks = segmenter.everything(
        record.read_image(), top_n, keep_all(segmenter), points_per_side=grid, foveal=foveal
    )
    truths = [_with_text(record.rles[index]) for index in one_annotator(record)]
    return {"truths": truths, "found": masks.rle(), "scores": masks.scores.tolist()}


def _with_text(rle: dict[str, Any]) -> dict[str, Any]:
    """Return an RLE with its counts as text, for JSON."""
    counts = rle["counts"]
    size = [int(side) for side in rle["size"]]
    return {"size": size, "counts": counts.decode() if isinstance(counts, bytes) else counts}
