# SPDX-License-Identifier: Apache-2.0
"""Score label maps: IoU by class, mean IoU and pixel accuracy."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from ..records import DataError, Skipped
from .confusion import Confusion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evitsam_ros.dense import SemanticSegmenter

    from ..label_maps import LabelRecord
    from .report import Table


def score_semantic(segmenter: SemanticSegmenter, records: Iterable[LabelRecord]) -> Table:
    """IoU by class, mean IoU and pixel accuracy, at the resolution of the label maps.

    Raises:
        DataError: no image can be used.
    """
    names = segmenter.bundle.classes.names
    confusion, skipped, used = Confusion(len(names)), Skipped(), 0
    for record in records:
        try:
            image, labels = record.read()
        except ValueError as error:
            skipped.add("unusable images", str(error))
            continue
        # A label map has 0 for void: 0 - 1 is 255, which is void in the confusion matrix too.
        confusion.add(labels, segmenter.segment(image).labels - np.uint8(1))
        used += 1
    check_used(used, skipped)
    table = {name: {"IoU": float(value)} for name, value in zip(names, confusion.iou(), strict=True)}
    return table | {"mean": {"IoU": confusion.mean_iou(), "accuracy": confusion.accuracy(), "images": used}}


def check_used(used: int, skipped: Skipped) -> None:
    """Reject a data set without a usable image; log what was skipped."""
    if not used:
        raise DataError(f"no image can be used: {skipped.explain()}")
    if skipped.counts:
        logging.getLogger(__name__).warning("skipped %s", skipped)
