# SPDX-License-Identifier: Apache-2.0
"""Measure a bundle in two precisions on held-out images, and define the limits of int8's loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..evaluation.prompted import score_prompts
from ..evaluation.recall import everything_recall

if TYPE_CHECKING:
    from evitsam_ros.segment import Segmenter

    from ..records import Record

#: Suffix of boundary IoU metrics.
BOUNDARY = "_boundary"
#: Max loss of a metric: of the IoU of boxes and the recall of everything mode, and of any other.
STRICT, USUAL = 0.003, 0.005

#: Mean by metric: ``box``, ``1_click``, …, each with ``_boundary``; and ``everything_ar``.
Figures = dict[str, float]


def measure(
    segmenter: Segmenter,
    records: list[Record],
    clicks: tuple[int, ...],
    exhaustive: list[Record],
    max_prompts: int = 256,
) -> Figures:
    """Score prompted masks, and everything mode if there are images for it.

    Args:
        segmenter: segmenter in the precision to measure.
        records: held-out images for boxes and clicks.
        clicks: numbers of clicks to score.
        exhaustive: held-out images in which every object has a mask; none: everything mode is skipped.
        max_prompts: max prompts of everything mode.
    """
    table = score_prompts(segmenter, records, clicks, ())
    names = {"GT box": "box"} | {_clicks(count): _clicks(count).replace(" ", "_") for count in clicks}
    figures = {}
    for method, name in names.items():
        figures[name] = table[method]["all"]
        figures[name + BOUNDARY] = table[method]["BIoU all"]
    if exhaustive:
        figures["everything_ar"] = everything_recall(segmenter, exhaustive, max_prompts)["all"]
    return figures


def _clicks(count: int) -> str:
    return f"{count} click" + "s" * (count > 1)


def limit(figure: str) -> float:
    """Return the max loss of a metric."""
    return STRICT if figure in ("box", "everything_ar") else USUAL


def exceeded_limits(before: Figures, after: Figures) -> list[str]:
    """List the metrics that lose more than their limit, as text; an empty list passes."""
    return [
        f"{name} {before[name]:.4f} -> {value:.4f} (limit {limit(name)})"
        for name, value in after.items()
        if before[name] - value > limit(name)
    ]
