# SPDX-License-Identifier: Apache-2.0
"""Mean IoU and boundary IoU of prompted masks: ground-truth boxes, and simulated clicks."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from evitsam_ros.segment import CloserLooks, Embedding, Masks, Prompt, Segmenter, look_closer

from .baselines import BASELINES
from .cases import Case, Cases
from .clicks import click_objects
from .mask_metrics import GROUPS, boundary_iou, mask_iou, size_group
from .spread import Spread, one_by_one

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..records import Record

#: End of the names of rows with closer looks.
CLOSER = ", closer"
#: Columns of boundary IoU beside those of IoU.
BOUNDARY_GROUPS = {group: f"BIoU {group}" for group in GROUPS}


class Score:
    """IoUs and boundary IoUs by method and size group."""

    def __init__(self) -> None:
        self.values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))

    def add(self, method: str, mask: np.ndarray, truth: np.ndarray) -> None:
        """Add a ``(H, W)`` bool mask of an object."""
        iou, boundary = mask_iou(mask, truth), boundary_iou(mask, truth)
        for group in ("all", size_group(truth.sum())):
            self.values[method][group].append(iou)
            self.values[method][BOUNDARY_GROUPS[group]].append(boundary)

    def extend(self, values: dict[str, dict[str, list[float]]]) -> None:
        """Append the results of another score."""
        for method, groups in values.items():
            for group, found in groups.items():
                self.values[method][group] += found

    def means(self) -> dict[str, dict[str, float]]:
        """Return the mean by method and size group; groups without objects are left out."""
        columns = (*GROUPS, *BOUNDARY_GROUPS.values())
        return {
            method: {column: float(np.mean(groups[column])) for column in columns if groups[column]}
            for method, groups in self.values.items()
        }


def object_masks(record: Record) -> dict[int, np.ndarray]:
    """Return the masks of a record, ``(H, W)`` bool by index, without those that have no pixel."""
    masks = {index: record.read_mask(index).astype(bool) for index in range(len(record.rles))}
    return {index: mask for index, mask in masks.items() if mask.any()}


def score_prompts(
    segmenter: Segmenter | None,
    records: list[Record],
    clicks: tuple[int, ...],
    baselines: tuple[str, ...],
    cases: Cases | None = None,
    spread: Spread = one_by_one,
    closer: int = 0,
) -> dict[str, dict[str, float]]:
    """Mean IoU and boundary IoU by method and size group; without a segmenter, of the baselines only.

    The columns of boundary IoU start with ``BIoU``.

    Args:
        segmenter: scored beside the baselines; None for these alone.
        records: images and their true masks.
        clicks: numbers of clicks after which masks are scored.
        baselines: names.
        cases: collects masks to look at; in this process only.
        spread: scores records, here or on many workers.
        closer: further rows of boxes and clicks, with closer looks at so many objects of each image.
    """
    score = Score()
    job = partial(score_record, clicks=clicks, baselines=baselines, cases=cases, closer=closer)
    for values in spread(job, segmenter, records, "boxes and clicks"):
        score.extend(values)
    return score.means()


def score_record(
    segmenter: Segmenter | None,
    record: Record,
    clicks: tuple[int, ...],
    baselines: tuple[str, ...],
    cases: Cases | None = None,
    closer: int = 0,
) -> dict[str, dict[str, list[float]]]:
    """Return the IoUs and boundary IoUs of an image's masks, by method and size group."""
    score = Score()
    image, truths = record.read_image(), object_masks(record)
    for name in baselines:
        for index, truth in truths.items():
            score.add(name, BASELINES[name](image, record.boxes[index]), truth)
    if segmenter is not None and truths:
        embedding = segmenter.embed(image)
        _score_boxes(segmenter, embedding, record, truths, score, cases)
        if clicks:
            _score_clicks(segmenter, embedding, list(truths.values()), clicks, score)
        if closer:
            looks = partial(look_closer, segmenter, image, looks=CloserLooks(closer))
            _score_closer_boxes(segmenter, embedding, record, truths, score, looks)
            if clicks:
                _score_clicks(segmenter, embedding, list(truths.values()), clicks, score, looks)
    return {method: dict(groups) for method, groups in score.values.items()}


def _score_boxes(
    segmenter: Segmenter,
    embedding: Embedding,
    record: Record,
    truths: dict[int, np.ndarray],
    score: Score,
    cases: Cases | None,
) -> None:
    """One mask for each ground-truth box: the best of three by predicted IoU, and by the truth."""
    prompts = [Prompt(box=record.boxes[index]) for index in truths]
    masks = segmenter.decode(embedding, prompts, multimask=True)
    full = masks.full().reshape(len(prompts), 3, *masks.image_size)
    ranked = masks.scores.reshape(-1, 3).argmax(1)
    for (index, truth), candidates, first in zip(truths.items(), full, ranked, strict=True):
        ious = [mask_iou(candidate, truth) for candidate in candidates]
        score.add("GT box", candidates[first], truth)
        score.add("GT box, best of 3", candidates[int(np.argmax(ious))], truth)
        if cases is not None:
            cases.add(Case(ious[first], record, index, candidates[first]))


def _score_closer_boxes(
    segmenter: Segmenter,
    embedding: Embedding,
    record: Record,
    truths: dict[int, np.ndarray],
    score: Score,
    looks: Callable[[Masks], Masks],
) -> None:
    """One mask for each ground-truth box, some of them drawn by closer looks."""
    masks = looks(segmenter.decode(embedding, [Prompt(box=record.boxes[index]) for index in truths]))
    for truth, mask in zip(truths.values(), masks.full(), strict=True):
        score.add(f"GT box{CLOSER}", mask, truth)


def _score_clicks(
    segmenter: Segmenter,
    embedding: Embedding,
    truths: list[np.ndarray],
    clicks: tuple[int, ...],
    score: Score,
    looks: Callable[[Masks], Masks] | None = None,
) -> None:
    """Masks after ``clicks`` clicks, each where :func:`~.mask_metrics.next_click` places it.

    ``looks`` draws some of the masks of every click again.
    """
    for answer in click_objects(segmenter, embedding, truths, max(clicks), looks=looks):
        if answer.clicks in clicks:
            method = f"{answer.clicks} click" + "s" * (answer.clicks > 1) + (CLOSER if looks else "")
            score.add(method, answer.mask, truths[answer.index])
