# SPDX-License-Identifier: Apache-2.0
"""Score the published masks of everything mode: their number per image, and their precision."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from pycocotools import mask as codec

from .record_scoring import ScoreRecords, score_in_process, with_proposal_prompt

if TYPE_CHECKING:
    from evitsam_ros.segment import Segmenter

    from ..records import Record

#: Min IoU of a correct mask with a human mask.
MATCH_IOU = 0.5


def best_ious(masks: list[dict], truths: list[dict]) -> np.ndarray:
    """Return the max IoU of each of N RLE masks with the true masks, ``(N,)``."""
    if not masks or not truths:
        return np.zeros(len(masks))
    return codec.iou(masks, truths, [0] * len(truths)).max(1)


def score_shown(
    segmenter: Segmenter,
    records: list[Record],
    max_prompts: int,
    *,
    foveal: bool = True,
    proposal_prompt: str = "",
    score_records: ScoreRecords = score_in_process,
) -> dict[str, float]:
    """Score the masks that pass the bundle's own thresholds, on images in which every object has a mask.

    If several people annotated an image, a mask of any of them counts.

    Args:
        segmenter: segmenter to score.
        records: images in which every object has a mask.
        max_prompts: number of proposals.
        foveal: see :meth:`Segmenter.decode`.
        proposal_prompt: decode proposals as ``boxes`` or ``points``; empty: as in the bundle.
        score_records: scores records in this process or on workers.

    Returns:
        ``shown``, the mean number of masks per image; ``right``, the share of them with an IoU of 0.5 or more
        with a human mask, omitted if there are no masks.
    """
    job = partial(ious_of_record, max_prompts=max_prompts, foveal=foveal, proposal_prompt=proposal_prompt)
    every = np.concatenate([np.array(ious) for ious in score_records(job, segmenter, records, "shown")])
    score = {"shown": len(every) / len(records)}
    if len(every):
        score["right"] = float((every >= MATCH_IOU).mean())
    return score


def ious_of_record(
    segmenter: Segmenter | None, record: Record, max_prompts: int, *, foveal: bool, proposal_prompt: str
) -> list[float]:
    """Return the max IoU of each published mask of an image with the true masks."""
    masks = with_proposal_prompt(segmenter, proposal_prompt).everything(
        record.read_image(), max_prompts, foveal=foveal
    )
    return best_ious(masks.rle(), record.rles).tolist()
