# SPDX-License-Identifier: Apache-2.0
"""Compute mask AR@1000 of everything mode (Lite-SAM, table 6), by pycocotools, class-agnostic."""

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
from .record_scoring import ScoreRecords, score_in_process, with_proposal_prompt

if TYPE_CHECKING:
    from pathlib import Path

    from evitsam_ros.segment import Segmenter, Thresholds

    from ..records import Record


def recall_thresholds(segmenter: Segmenter) -> Thresholds:
    """Return thresholds that keep nearly all masks of the bundle's prompts, as recall needs."""
    return segmenter.thresholds().replace(
        pred_iou_thresh=0.0, stability_score_thresh=0.0, box_nms_thresh=0.95, min_area=1.0
    )


def check_exhaustive(annotations: Path) -> None:
    """Raise ``ValueError`` unless every object in the images has a mask: recall needs all objects."""
    info = read_info(annotations)
    if info.get("exhaustive") is not True:
        value = info.get("exhaustive", "nothing")
        raise ValueError(
            f"{annotations.name}: mask AR needs images in which every object has a mask; its info has "
            f"exhaustive: {value}"
        )


def most_complete_annotator(record: Record) -> np.ndarray:
    """Return the indices of the masks of the annotator who covered most of the image."""
    best, max_masks = np.zeros(0, int), -1.0
    for annotator in np.unique(record.annotators):
        indices = np.flatnonzero(record.annotators == annotator)
        covered = np.zeros((record.height, record.width), bool)
        for index in indices.tolist():
            covered |= record.read_mask(index).astype(bool)
        share = float(covered.mean())
        if share > max_masks:
            best, max_masks = indices, share
    return best


def average_recall(
    truths: list[list[dict]], found: list[list[dict]], scores: list[np.ndarray], max_masks: int = 1000
) -> dict[str, float]:
    """Compute AR over IoU 0.5 to 0.95 with max ``max_masks`` masks per image, by COCO's sizes.

    Args:
        truths: true RLE masks of every image.
        found: found RLE masks of every image.
        scores: of the found masks; the best ones count if there are too many.
        max_masks: max number of found masks per image.
    """
    images: list[dict] = []
    annotations: list[dict] = []
    results: list[dict] = []
    for number, (truth_rles, masks, ranks) in enumerate(zip(truths, found, scores, strict=True), start=1):
        height, width = (int(n) for n in truth_rles[0]["size"])
        images.append({"id": number, "height": height, "width": width})
        for rle in truth_rles:
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
        evaluation.params.maxDets = [1, 10, max_masks]
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
    max_prompts: int,
    grid: int | None = None,
    *,
    foveal: bool = True,
    proposal_prompt: str = "",
    score_records: ScoreRecords = score_in_process,
) -> dict[str, float]:
    """Compute AR of everything mode: AutoPPN with ``max_prompts`` prompts, or ``grid`` squared points.

    Args:
        segmenter: segmenter to score.
        records: images in which every object has a mask.
        max_prompts: number of proposals.
        grid: points per side in place of proposals.
        foveal: see :meth:`Segmenter.decode`.
        proposal_prompt: decode proposals as ``boxes`` or ``points``; empty: as in the bundle.
        score_records: scores records in this process or on workers.
    """
    job = partial(
        masks_of_record, max_prompts=max_prompts, grid=grid, foveal=foveal, proposal_prompt=proposal_prompt
    )
    found = list(score_records(job, segmenter, records, "everything"))
    scores = [np.array(entry["scores"], np.float32) for entry in found]
    return average_recall([entry["truths"] for entry in found], [entry["found"] for entry in found], scores)


def masks_of_record(
    segmenter: Segmenter | None,
    record: Record,
    max_prompts: int,
    grid: int | None,
    *,
    foveal: bool,
    proposal_prompt: str,
) -> dict[str, list[Any]]:
    """Return the true masks of an image's best annotator and the masks found, as RLE, and their scores."""
    segmenter = with_proposal_prompt(segmenter, proposal_prompt)
    masks = segmenter.everything(
        record.read_image(), max_prompts, recall_thresholds(segmenter), points_per_side=grid, foveal=foveal
    )
    truths = [_with_text(record.rles[index]) for index in most_complete_annotator(record)]
    return {"truths": truths, "found": masks.rle(), "scores": masks.scores.tolist()}


def _with_text(rle: dict[str, Any]) -> dict[str, Any]:
    """Return an RLE with its counts as text, for JSON."""
    counts = rle["counts"]
    size = [int(side) for side in rle["size"]]
    return {"size": size, "counts": counts.decode() if isinstance(counts, bytes) else counts}
