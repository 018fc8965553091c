# SPDX-License-Identifier: Apache-2.0
"""Figures of a bundle in two precisions on held-out images, and the limits of what int8 may cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..evaluation.prompted import score_prompts
from ..evaluation.recall import everything_recall

if TYPE_CHECKING:
    from evitsam_ros.segment import Segmenter

    from ..records import Record

#: End of the names of figures of boundary IoU.
BOUNDARY = "_boundary"
#: Largest loss of a figure: of the IoU of boxes and the recall of everything mode, and of any other.
STRICT, USUAL = 0.003, 0.005

#: Mean by figure: ``box``, ``1_click``, …, each with ``_boundary``; and ``everything_ar``.
Figures = dict[str, float]


def measure(
    segmenter: Segmenter,
    records: list[Record],
    clicks: tuple[int, ...],
    exhaustive: list[Record],
    max_prompts: int = 256,
) -> Figures:
    """Score prompted masks, and everything mode where there are images for it.

    Args:
        segmenter: in the precision to measure.
        records: held-out images for boxes and clicks.
        clicks: after how many clicks.
        exhaustive: held-out images in which everything has a mask; none: everything mode is left out.
        max_prompts: of everything mode.
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
    """Return the largest loss of a figure."""
    return STRICT if figure in ("box", "everything_ar") else USUAL


def missed(before: Figures, after: Figures) -> list[str]:
    """List the figures that lose more than their limit, as text; none is good."""
    return [
        f"{name} {before[name]:.4f} -> {value:.4f} (limit {limit(name)})"
        for name, value in after.items()
        if before[name] - value > limit(name)
    ]
