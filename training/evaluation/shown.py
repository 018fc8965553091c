# SPDX-License-Identifier: Apache-2.0
"""What everything mode shows: how many masks an image, and how many of these a person drew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pycocotools import mask as codec
from tqdm import tqdm

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
    segmenter: Segmenter, records: list[Record], top_n: int, *, foveal: bool = True
) -> dict[str, float]:
    """Score the masks that pass the bundle's own thresholds, on images in which everything has a mask.

    Where several people annotated an image, a mask of any of them counts.

    Args:
        foveal: see :meth:`Segmenter.decode`.

    Returns:
        ``shown``, the mean number of masks an image; ``right``, the share of all shown masks with an IoU of
        0.5 or more with a human mask, left out where nothing was shown.
    """
    ious = [
        best_ious(segmenter.everything(record.read_image(), top_n, foveal=foveal).rle(), record.rles)
        for record in tqdm(records, desc="shown", unit="image", mininterval=2)
    ]
    every = np.concatenate(ious)
    score = {"shown": len(every) / len(records)}
    if len(every):
        score["right"] = float((every >= RIGHT).mean())
    return score
