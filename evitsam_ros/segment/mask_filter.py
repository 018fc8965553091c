# SPDX-License-Identifier: Apache-2.0
"""Everything mode's choice among the masks that were decoded.

It is made on low-res logits; SAM's mask generator does the same on full-size masks, which costs more than the
decoder.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from ..deprecation import renamed_keywords, warn_renamed
from .iou import box_iou

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .masks import Masks

#: Names of thresholds by those in a bundle's description, which were the names here too.
RENAMED = {
    "score": "pred_iou_thresh",
    "stability": "stability_score_thresh",
    "nms": "box_nms_thresh",
    "heat": "objectness_thresh",
    "same": "proposal_nms_thresh",
}


@dataclass(frozen=True)
class Thresholds:
    """Define the masks that everything mode keeps, by the names of SAM's mask generator where it has them.

    Two defaults are lower than SAM's 0.88 and 0.95, which were chosen for ViT-H: the heads of smaller
    networks predict lower IoUs, and the edges of their masks are less steep. A bundle defines thresholds that
    were chosen on its own masks; both shipped bundles do.

    Attributes:
        pred_iou_thresh: min predicted IoU; SAM's default is 0.88.
        stability_score_thresh: min IoU between the mask cut at +1 and at -1; SAM's default is 0.95.
        box_nms_thresh: max box IoU of two masks that are both kept.
        objectness_thresh: min confidence of a proposal.
        min_area: min area in pixels of the original image.
        proposal_nms_thresh: max IoU of the boxes, or proposals' boxes, of two prompts that are both decoded.
        min_region: holes and specks of a mask smaller than this share of it are removed; 0: none. For all
            masks, not everything mode's alone.

    Raises:
        ValueError: one is NaN or no number.
    """

    pred_iou_thresh: float = 0.7
    stability_score_thresh: float = 0.8
    box_nms_thresh: float = 0.7
    objectness_thresh: float = 0.1
    min_area: float = 16.0
    proposal_nms_thresh: float = 0.9
    min_region: float = 0.0

    def __post_init__(self) -> None:
        for entry in fields(self):
            value: object = getattr(self, entry.name)
            if not isinstance(value, int | float | np.number) or math.isnan(value):
                raise ValueError(f"{entry.name} is {value!r}; expected a number")

    @classmethod
    def from_description(cls, values: Mapping[str, float]) -> Thresholds:
        """Make those of a bundle, by the names in its description; the others are the defaults."""
        return cls(**{RENAMED.get(name, name): value for name, value in values.items()})

    @renamed_keywords(**RENAMED)
    def replace(self, **changes: float | None) -> Thresholds:
        """Return a copy with the values that are not None changed."""
        return replace(self, **{name: value for name, value in changes.items() if value is not None})

    def but(self, **changes: float | None) -> Thresholds:
        """Do as :meth:`replace`; deprecated."""
        warn_renamed("Thresholds.but", "Thresholds.replace")
        return self.replace(**{RENAMED.get(name, name): value for name, value in changes.items()})

    def __getattr__(self, name: str) -> float:
        """Return a value by its old name; deprecated."""
        if name not in RENAMED:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        warn_renamed(f"Thresholds.{name}", f"Thresholds.{RENAMED[name]}")
        value: float = getattr(self, RENAMED[name])
        return value


# On __init__, as dataclass writes it: a class decorator would hide the class.
Thresholds.__init__ = renamed_keywords(**RENAMED)(Thresholds.__init__)  # type: ignore[method-assign]


def stability(logits: np.ndarray, offset: float = 1.0) -> np.ndarray:
    """Compute SAM's stability score: ``(M,)`` IoU of the masks cut ``offset`` above and below zero."""
    inner = (logits > offset).sum((1, 2))
    outer = (logits > -offset).sum((1, 2))
    return np.asarray(inner / np.maximum(outer, 1))


def box_nms(boxes: np.ndarray, scores: np.ndarray, max_iou: float) -> np.ndarray:
    """Return the indices of boxes that no better box overlaps by more than ``max_iou``, best first."""
    iou = box_iou(boxes[:, None], boxes[None])
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        if not kept or iou[index, kept].max() <= max_iou:
            kept.append(int(index))
    return np.array(kept, int)


def filter_masks(masks: Masks, thresholds: Thresholds) -> Masks:
    """Return the masks that pass score, stability, area and NMS, best first, with ids from 1."""
    good = masks.scores >= thresholds.pred_iou_thresh
    good &= stability(masks.unpadded_logits) >= thresholds.stability_score_thresh
    good &= masks.areas >= thresholds.min_area
    masks = masks.select(good)
    masks = masks.select(box_nms(masks.boxes, masks.scores, thresholds.box_nms_thresh))
    return replace(masks, object_ids=np.arange(1, len(masks) + 1))
