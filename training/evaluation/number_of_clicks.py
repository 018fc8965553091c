# SPDX-License-Identifier: Apache-2.0
"""Count the clicks (NoC) to a target IoU, the metric of interactive segmentation.

The protocol of f-BRS (Sofiiuk et al., CVPR 2020) and RITM (Sofiiuk et al., ICIP 2022): up to 20 clicks per
object, each by :func:`~training.evaluation.mask_metrics.next_click`. NoC@80 is the mean number of clicks
until the IoU is 0.80 or more; an object that never reaches it counts 20.
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


def clicks_to_reach(ious: list[float], target_iou: float) -> int | None:
    """Return the number of clicks to an IoU of ``target_iou`` or more; None if it is never reached.

    Args:
        ious: after 1, 2, 3 and more clicks.
        target_iou: min IoU.
    """
    return next((count for count, iou in enumerate(ious, start=1) if iou >= target_iou), None)


def score_clicks(
    segmenter: Segmenter, records: list[Record], objects: int | None = None, max_clicks: int = MAX_CLICKS
) -> dict[str, dict[str, float]]:
    """Count clicks over all masks, by size group.

    Args:
        segmenter: segmenter to score.
        records: images with masks of the objects.
        objects: max number of objects; None: all.
        max_clicks: max clicks per object, and the count of an object that fails.

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
            for result in click_objects(segmenter, embedding, truths, max_clicks, max(IOUS)):
                ious[result.index].append(result.iou)
            for truth, each in zip(truths, ious, strict=True):
                found["all"].append(each)
                found[size_group(truth.sum())].append(each)
    return _table({group: found[group] for group in GROUPS if found[group]}, max_clicks)


def _table(found: dict[str, list[list[float]]], max_clicks: int) -> dict[str, dict[str, float]]:
    table: dict[str, dict[str, float]] = defaultdict(dict)
    for group, objects in found.items():
        for target_iou in IOUS:
            counts = [clicks_to_reach(ious, target_iou) for ious in objects]
            failed = [count is None for count in counts]
            table[f"NoC@{target_iou * 100:.0f}"][group] = float(np.mean([c or max_clicks for c in counts]))
            table[f"failed@{target_iou * 100:.0f}"][group] = float(np.mean(failed))
        table["objects"][group] = len(objects)
    return dict(table)
