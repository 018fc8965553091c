# SPDX-License-Identifier: Apache-2.0
"""Number of clicks (NoC) until a mask is right, as interactive segmentation reports it.

The protocol of f-BRS (Sofiiuk et al., CVPR 2020) and RITM (Sofiiuk et al., ICIP 2022): up to 20 clicks an
object, each by :func:`~training.evaluation.mask_metrics.next_click`. NoC@80 is the mean number of clicks
until the IoU is 0.80 or more; an object that never gets there counts 20.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from .clicks import click_objects
from .mask_metrics import GROUPS, size_group
from .prompted import object_masks

if TYPE_CHECKING:
    from evitsam_ros.segment import Segmenter

    from ..records import Record

MAX_CLICKS = 20
IOUS = (0.80, 0.85)


def clicks_to_reach(ious: list[float], wanted: float) -> int | None:
    """Return after how many clicks the IoU is ``wanted`` or more; None if never.

    Args:
        ious: after one click, two, three, …
    """
    return next((count for count, iou in enumerate(ious, start=1) if iou >= wanted), None)


def score_clicks(
    segmenter: Segmenter, records: list[Record], objects: int | None = None, max_clicks: int = MAX_CLICKS
) -> dict[str, dict[str, float]]:
    """Count clicks over all masks, by size group.

    Args:
        objects: only the first so many objects.
        max_clicks: what an object gets at most, and counts if it fails.

    Returns:
        By size group: ``NoC@80`` and ``NoC@85``, ``failed@80`` and ``failed@85`` (the share of objects that
        never reached the IoU; the papers also count those that did so with the last click), and the number
        of ``objects``.
    """
    found: dict[str, list[list[float]]] = defaultdict(list)
    left = objects
    for record in tqdm(records, desc="number of clicks", unit="image", mininterval=2):
        truths = list(object_masks(record).values())[:left]
        if left is not None:
            left -= len(truths)
        if truths:
            embedding = segmenter.embed(record.read_image())
            ious: list[list[float]] = [[] for _ in truths]
            for answer in click_objects(segmenter, embedding, truths, max_clicks, max(IOUS)):
                ious[answer.index].append(answer.iou)
            for truth, each in zip(truths, ious, strict=True):
                found["all"].append(each)
                found[size_group(truth.sum())].append(each)
    return _table({group: found[group] for group in GROUPS if found[group]}, max_clicks)


def _table(found: dict[str, list[list[float]]], max_clicks: int) -> dict[str, dict[str, float]]:
    table: dict[str, dict[str, float]] = defaultdict(dict)
    for group, objects in found.items():
        for wanted in IOUS:
            counts = [clicks_to_reach(ious, wanted) for ious in objects]
            failed = [count is None for count in counts]
            table[f"NoC@{wanted * 100:.0f}"][group] = float(np.mean([c or max_clicks for c in counts]))
            table[f"failed@{wanted * 100:.0f}"][group] = float(np.mean(failed))
        table["objects"][group] = len(objects)
    return dict(table)
