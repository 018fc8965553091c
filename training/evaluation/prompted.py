# SPDX-License-Identifier: Apache-2.0
"""Mean IoU of prompted masks: ground-truth boxes, and SAM's clicks ("Segment Anything", section 7.1)."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from tqdm import tqdm

from evitsam_ros.segment import Embedding, Prompt, Segmenter

from ..annotations import Record
from .baselines import BASELINES
from .cases import Case, Cases
from .mask_metrics import central_point, mask_iou, next_click, size_group

GROUPS = ("all", "small", "medium", "large")


class Score:
    """IoUs by method and size group."""

    def __init__(self) -> None:
        self.values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))

    def add(self, method: str, iou: float, area: float) -> None:
        self.values[method]["all"].append(iou)
        self.values[method][size_group(area)].append(iou)

    def means(self) -> dict[str, dict[str, float]]:
        return {
            method: {group: float(np.mean(groups[group])) for group in GROUPS if groups[group]}
            for method, groups in self.values.items()
        }


def score_prompts(
    segmenter: Segmenter | None,
    records: list[Record],
    clicks: tuple[int, ...],
    baselines: tuple[str, ...],
    cases: Cases | None = None,
) -> dict[str, dict[str, float]]:
    """Mean IoU by method and size group over all masks; without a segmenter, of the baselines only."""
    score = Score()
    for record in tqdm(records, desc="boxes and clicks", unit="image", mininterval=2):
        image = record.read_image()
        truths = [record.read_mask(index).astype(bool) for index in range(len(record.rles))]
        for name in baselines:
            for box, truth in zip(record.boxes, truths, strict=True):
                score.add(name, mask_iou(BASELINES[name](image, box), truth), truth.sum())
        if segmenter is None:
            continue
        embedding = segmenter.embed(image)
        _score_boxes(segmenter, embedding, record, truths, score, cases)
        if clicks:
            _score_clicks(segmenter, embedding, truths, clicks, score)
    return score.means()


def _score_boxes(
    segmenter: Segmenter,
    embedding: Embedding,
    record: Record,
    truths: list[np.ndarray],
    score: Score,
    cases: Cases | None,
) -> None:
    """One mask for each ground-truth box: the best of three by predicted IoU, and by the truth."""
    prompts = [Prompt(box=box) for box in record.boxes]
    masks = segmenter.decode(embedding, prompts, multimask=True)
    full = masks.full().reshape(len(prompts), 3, *masks.image_size)
    ranked = masks.scores.reshape(-1, 3).argmax(1)
    for index, (candidates, first, truth) in enumerate(zip(full, ranked, truths, strict=True)):
        ious = [mask_iou(candidate, truth) for candidate in candidates]
        score.add("GT box", ious[first], truth.sum())
        score.add("GT box, best of 3", max(ious), truth.sum())
        if cases is not None:
            cases.add(Case(ious[first], record, index, candidates[first]))


def _score_clicks(
    segmenter: Segmenter,
    embedding: Embedding,
    truths: list[np.ndarray],
    clicks: tuple[int, ...],
    score: Score,
) -> None:
    """SAM's protocol: the most central point first, then the most central point of the larger error."""
    for truth in truths:
        points, labels = [central_point(truth)], [1]
        for count in range(1, max(clicks) + 1):
            masks = segmenter.decode(embedding, [Prompt(points=points, labels=labels)])
            prediction = masks.full()[0]
            if count in clicks:
                score.add(f"{count} click" + "s" * (count > 1), mask_iou(prediction, truth), truth.sum())
            following = next_click(truth, prediction)
            if following is not None:
                points.append(following[0])
                labels.append(following[1])
