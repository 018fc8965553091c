# SPDX-License-Identifier: Apache-2.0
"""The parameters that say how a frame is answered, read once a frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class FrameSettings:
    """Named as the node's parameters; a change counts from the next frame on."""

    mode: str
    track: bool
    top_n: int
    latency_budget_ms: float
    score_threshold: float
    stability_threshold: float
    nms_threshold: float
    min_region: float
    overlay_alpha: float
    max_age_s: float

    @classmethod
    def read(cls, parameter: Callable[[str], Any]) -> FrameSettings:
        return cls(**{field.name: parameter(field.name) for field in fields(cls)})

    def thresholds(self) -> dict[str, float | None]:
        """Of everything mode; None for the bundle's own."""
        given = {
            "pred_iou_thresh": self.score_threshold,
            "stability_score_thresh": self.stability_threshold,
            "box_nms_thresh": self.nms_threshold,
            "min_region": self.min_region,
        }
        return {name: value if value >= 0 else None for name, value in given.items()}
