# SPDX-License-Identifier: Apache-2.0
"""Ratios with their confidence intervals as a picture."""

from __future__ import annotations

from collections.abc import Sequence

from . import svg
from .compare import Row
from .table import milliseconds

ROW, LEFT, RIGHT = 30, 220, 330
#: Ratios beyond this are drawn at the edge, with an arrow's open end.
FURTHEST = 4.0
CLASSES = {"faster": "faster", "slower": "slower", "cannot tell": "unknown"}


def forest(rows: Sequence[Row]) -> str:
    """A row for each stage: B / A with its 95 % interval about the line where they are equal."""
    ends = [v for row in rows if row.ratio for v in (row.ratio.low, row.ratio.high)]
    reach = min(max([1.1, *(max(v, 1 / max(v, 1e-9)) for v in ends)]) * 1.04, FURTHEST)
    x = svg.log_scale(1 / reach, reach, LEFT, svg.WIDTH - RIGHT)
    height = ROW * len(rows)
    parts = []
    for tick in _ratio_ticks(reach):
        parts.append(svg.line(x(tick), 0, x(tick), height, "one" if tick == 1 else "grid"))
        parts.append(svg.text(x(tick), height + 18, f"{tick:g}", "tick", "middle"))
    for index, row in enumerate(rows):
        y = ROW * (index + 0.5)
        parts.append(svg.text(LEFT - 12, y + 4, row.stage, "label", "end"))
        said = f"{milliseconds(row.a_ms)} -> {milliseconds(row.b_ms)} ms, {row.verdict}"
        if row.ratio:
            class_, ratio = CLASSES[row.verdict], row.ratio
            low, middle, high = (
                x(min(max(v, 1 / reach), reach)) for v in (ratio.low, ratio.value, ratio.high)
            )
            parts.append(svg.line(low, y, high, y, f"interval {class_}"))
            tip = f"{ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f})"
            parts.append(svg.box(middle - 4.5, y - 4.5, 9, 9, f"dot {class_}", tip, 4.5))
            said = f"{ratio.value:.2f}, {said}"
        parts.append(svg.text(svg.WIDTH - RIGHT + 20, y + 4, said, "value"))
    return svg.drawing(height + 26, parts, "Ratio of medians of each stage with its confidence interval")


def _ratio_ticks(reach: float) -> list[float]:
    steps = (1.05, 1.1, 1.25, 1.5, 2, 3, 4)
    above = [step for step in steps if step <= reach * 1.001]
    above = above[-3:] if len(above) > 3 else above
    return [*(round(1 / step, 3) for step in reversed(above)), 1, *above]
