# SPDX-License-Identifier: Apache-2.0
"""What everything mode shows: how many masks an image, and how many of these a person drew."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from pycocotools import mask as codec

from .spread import Spread, one_by_one, prompted_as

if TYPE_CHECKING:
    from evitsam_ros.segment import Segmenter

    from ..records import Record

#: Min IoU at which a shown mask is one that a person drew.
RIGHT = 0.5


def best_ious(masks: list[dict], truths: list[dict]) -> np.ndarray:
    """Return for each of N RLE masks its IoU with the best of the truths, ``(N,)``."""
    if not masks or not truths:
        return np.zeros(len(masks))
    return codec.iou(masks, truths, [0] * len(truths)).max(1)


def score_shown(
    segmenter: Segmenter,
    records: list[Record],
    top_n: int,
    *,
    foveal: bool = True,
    proposals_as: str = "",
    spread: Spread = one_by_one,
) -> dict[str, float]:
    """Score the masks that pass the bundle's own thresholds, on images in which everything has a mask.

    Where several people annotated an image, a mask of any of them counts.

    Args:
        segmenter: to be scored.
        records: images in which everything has a mask.
        top_n: number of proposals.
        foveal: see :meth:`Segmenter.decode`.
        proposals_as: decode proposals as ``boxes`` or ``points``; empty: as in the bundle.
        spread: scores records, here or on many workers.

    Returns:
        ``shown``, the mean number of masks an image; ``right``, the share of all shown masks with an IoU of
        0.5 or more with a human mask, left out where nothing was shown.
    """
    job = partial(ious_of_record, top_n=top_n, foveal=foveal, proposals_as=proposals_as)
    every = np.concatenate([np.array(ious) for ious in spread(job, segmenter, records, "shown")])
    score = {"shown": len(every) / len(records)}
    if len(every):
        score["right"] = float((every >= RIGHT).mean())
    return score


def ious_of_record(
    segmenter: Segmenter | None, record: Record, top_n: int, *, foveal: bool, proposals_as: str
) -> list[float]:
    """Return for each mask that is shown of an image its IoU with the best of the true masks."""
    masks = prompted_as(segmenter, proposals_as).everything(record.read_image(), top_n, foveal=foveal)
    return best_ious(masks.rle(), record.rles).tolist()
