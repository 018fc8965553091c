# SPDX-License-Identifier: Apache-2.0
"""Score mean IoU and boundary IoU of prompted masks: ground-truth boxes, and simulated clicks."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from evitsam_ros.segment import CloserLooks, Embedding, Masks, Prompt, Segmenter, look_closer

from .baselines import BASELINES
from .clicks import click_objects
from .examples import Example, Examples
from .mask_metrics import GROUPS, boundary_iou, mask_iou, size_group
from .record_scoring import ScoreRecords, score_in_process

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..records import Record

#: Suffix of rows with closer looks.
CLOSER = ", closer"
#: Columns of boundary IoU beside those of IoU.
BOUNDARY_GROUPS = {group: f"BIoU {group}" for group in GROUPS}


class Score:
    """Collect IoUs and boundary IoUs by method and size group."""

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
        """Return the mean by method and size group; groups without objects are omitted."""
        columns = (*GROUPS, *BOUNDARY_GROUPS.values())
        return {
            method: {column: float(np.mean(groups[column])) for column in columns if groups[column]}
            for method, groups in self.values.items()
        }


def object_masks(record: Record) -> dict[int, np.ndarray]:
    """Return the non-empty masks of a record, ``(H, W)`` bool by index."""
    masks = {index: record.read_mask(index).astype(bool) for index in range(len(record.rles))}
    return {index: mask for index, mask in masks.items() if mask.any()}


def score_prompts(
    segmenter: Segmenter | None,
    records: list[Record],
    clicks: tuple[int, ...],
    baselines: tuple[str, ...],
    examples: Examples | None = None,
    score_records: ScoreRecords = score_in_process,
    closer: int = 0,
) -> dict[str, dict[str, float]]:
    """Score mean IoU and boundary IoU by method and size group; without a segmenter, only the baselines.

    The columns of boundary IoU start with ``BIoU``.

    Args:
        segmenter: scored beside the baselines; None: baselines only.
        records: images and their true masks.
        clicks: numbers of clicks after which masks are scored.
        baselines: names of the baselines.
        examples: collects masks for inspection; in this process only.
        score_records: scores records in this process or on workers.
        closer: adds rows of boxes and clicks with closer looks at this number of objects per image.
    """
    score = Score()
    job = partial(score_record, clicks=clicks, baselines=baselines, examples=examples, closer=closer)
    for values in score_records(job, segmenter, records, "boxes and clicks"):
        score.extend(values)
    return score.means()


def score_record(
    segmenter: Segmenter | None,
    record: Record,
    clicks: tuple[int, ...],
    baselines: tuple[str, ...],
    examples: Examples | None = None,
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
        _score_boxes(segmenter, embedding, record, truths, score, examples)
        if clicks:
            _score_clicks(segmenter, embedding, list(truths.values()), clicks, score)
        if closer:
            refine = partial(look_closer, segmenter, image, looks=CloserLooks(closer))
            _score_closer_boxes(segmenter, embedding, record, truths, score, refine)
            if clicks:
                _score_clicks(segmenter, embedding, list(truths.values()), clicks, score, refine)
    return {method: dict(groups) for method, groups in score.values.items()}


def _score_boxes(
    segmenter: Segmenter,
    embedding: Embedding,
    record: Record,
    truths: dict[int, np.ndarray],
    score: Score,
    examples: Examples | None,
) -> None:
    """Score one mask per ground-truth box: the best of three by predicted IoU, and by the truth."""
    prompts = [Prompt(box=record.boxes[index]) for index in truths]
    masks = segmenter.decode(embedding, prompts, multimask=True)
    full = masks.full().reshape(len(prompts), 3, *masks.image_size)
    ranked = masks.scores.reshape(-1, 3).argmax(1)
    for (index, truth), candidates, first in zip(truths.items(), full, ranked, strict=True):
        ious = [mask_iou(candidate, truth) for candidate in candidates]
        score.add("GT box", candidates[first], truth)
        score.add("GT box, best of 3", candidates[int(np.argmax(ious))], truth)
        if examples is not None:
            examples.add(Example(ious[first], record, index, candidates[first]))


def _score_closer_boxes(
    segmenter: Segmenter,
    embedding: Embedding,
    record: Record,
    truths: dict[int, np.ndarray],
    score: Score,
    refine: Callable[[Masks], Masks],
) -> None:
    """Score one mask per ground-truth box, some of them refined by closer looks."""
    masks = refine(segmenter.decode(embedding, [Prompt(box=record.boxes[index]) for index in truths]))
    for truth, mask in zip(truths.values(), masks.full(), strict=True):
        score.add(f"GT box{CLOSER}", mask, truth)


def _score_clicks(
    segmenter: Segmenter,
    embedding: Embedding,
    truths: list[np.ndarray],
    clicks: tuple[int, ...],
    score: Score,
    refine: Callable[[Masks], Masks] | None = None,
) -> None:
    """Score masks after ``clicks`` clicks, each placed by :func:`~.mask_metrics.next_click`.

    ``refine`` refines some of the masks after each click.
    """
    for result in click_objects(segmenter, embedding, truths, max(clicks), refine=refine):
        if result.clicks in clicks:
            method = f"{result.clicks} click" + "s" * (result.clicks > 1) + (CLOSER if refine else "")
            score.add(method, result.mask, truths[result.index])
