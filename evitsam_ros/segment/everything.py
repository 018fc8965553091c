# SPDX-License-Identifier: Apache-2.0
"""Everything mode: prompts for the whole image, and the choice among the masks that come back.

The choice is made on low-res logits; SAM's mask generator does the same on full-size masks, which costs
more than the decoder.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from .iou import box_iou
from .masks import Masks
from .prompt import Prompt
from .transform import Transform


@dataclass(frozen=True)
class Thresholds:
    """What everything mode keeps. Defaults are SAM's generator's where it has them.

    Attributes:
        score: least predicted IoU.
        stability: least IoU between the mask cut at +1 and at -1.
        nms: largest box IoU between two kept masks.
        heat: least confidence of a proposal.
        min_area: least area in pixels of the original image.
        same: largest IoU between the boxes, or proposals' boxes, of two prompts that are both decoded.
        min_region: holes and specks of a mask smaller than this share of it are removed; 0: none. For all
            masks, not everything mode's alone.
    """

    score: float = 0.7
    stability: float = 0.8
    nms: float = 0.7
    heat: float = 0.1
    min_area: float = 16.0
    same: float = 0.9
    min_region: float = 0.0

    def but(self, **changes: float | None) -> Thresholds:
        """A copy with the values that are not None changed."""
        return replace(self, **{name: value for name, value in changes.items() if value is not None})


def decode_proposals(
    heat: np.ndarray,
    distances: np.ndarray,
    transform: Transform,
    top_n: int,
    threshold: float,
    boxes: bool = True,
) -> list[Prompt]:
    """AutoPPN's maps -> prompts, best first (Lite-SAM section 3.3: Point-NMS, then the top N).

    Args:
        heat: ``(1, 1, h, w)`` in 0..1.
        distances: ``(1, 4, h, w)`` to the left, top, right and bottom as fractions of the padded side.
        transform: geometry of the image.
        top_n: at most so many.
        threshold: least heat.
        boxes: the decoder is told the box beside the point, as in the paper; else as ``proposal_box``.
    """
    heat, distances = heat[0, 0], distances[0]
    rows, cols = (min(n, s) for n, s in zip(transform.visible_cells, heat.shape, strict=True))
    # Point-NMS: a cell stays if it is the maximum of its 3x3 neighbourhood.
    peaks = heat >= cv2.dilate(heat, np.ones((3, 3), np.uint8))
    peaks &= heat >= threshold
    ys, xs = np.nonzero(peaks[:rows, :cols])
    best = np.argsort(-heat[ys, xs], kind="stable")[:top_n]
    ys, xs = ys[best], xs[best]
    centre = np.stack([(xs + 0.5) / heat.shape[1], (ys + 0.5) / heat.shape[0]], axis=1)
    low = centre - distances[:2, ys, xs].T
    high = centre + distances[2:, ys, xs].T
    cells = np.array(heat.shape[::-1])
    to_pixels = transform.pixels_per_cell * np.array(transform.mask_size[::-1])
    size = np.array([transform.size[1], transform.size[0]])
    # A click at the edge of the last cell may fall just outside the picture.
    points = np.minimum(centre * to_pixels, size - 0.5)
    reach = to_pixels / cells
    low = np.clip(np.minimum(low * to_pixels, points - reach / 2), 0, None)
    high = np.minimum(np.maximum(high * to_pixels, points + reach / 2), size)
    label, extents = np.ones(1, np.float32), np.concatenate([low, high], axis=1)
    return [
        Prompt(point[None], label, box=extent if boxes else None, proposal_box=None if boxes else extent)
        for point, extent in zip(points, extents, strict=True)
    ]


def drop_covered(prompts: list[Prompt], by: list[Prompt], limit: float) -> list[Prompt]:
    """The prompts whose extents overlap no earlier one's, and none of ``by``, by more than ``limit`` IoU.

    Prompts without an extent are kept.
    """
    boxed = [prompt for prompt in (*by, *prompts) if prompt.extent is not None]
    extents = [prompt.extent for prompt in boxed if prompt.extent is not None]
    if not boxed or limit >= 1:
        return prompts
    order = -np.arange(len(boxed), dtype=np.float32)  # earlier ones win
    kept = {id(boxed[i]) for i in box_nms(np.stack(extents), order, limit)}
    return [prompt for prompt in prompts if prompt.extent is None or id(prompt) in kept]


def grid_points(size: tuple[int, int], per_side: int) -> np.ndarray:
    """SAM's regular grid: ``per_side`` squared points x, y in pixels of an image of (H, W), row by row."""
    offsets = (np.arange(per_side) + 0.5) / per_side
    xs, ys = np.meshgrid(offsets * size[1], offsets * size[0])
    return np.stack([xs, ys], -1).reshape(-1, 2)


def grid_prompts(size: tuple[int, int], per_side: int) -> list[Prompt]:
    """A foreground point each at the places of :func:`grid_points`."""
    return [Prompt(points=point[None]) for point in grid_points(size, per_side)]


def stability(logits: np.ndarray, offset: float = 1.0) -> np.ndarray:
    """``(M,)`` IoU between the masks cut ``offset`` above and below zero (SAM's stability score)."""
    inner = (logits > offset).sum((1, 2))
    outer = (logits > -offset).sum((1, 2))
    return np.asarray(inner / np.maximum(outer, 1))


def box_nms(boxes: np.ndarray, scores: np.ndarray, limit: float) -> np.ndarray:
    """Indices of the boxes that no better box overlaps by more than ``limit`` IoU, best first."""
    iou = box_iou(boxes[:, None], boxes[None])
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        if not kept or iou[index, kept].max() <= limit:
            kept.append(int(index))
    return np.array(kept, int)


def choose(masks: Masks, thresholds: Thresholds) -> Masks:
    """The masks that pass score, stability, area and NMS, best first, with ids 1, 2, 3, …"""
    good = masks.scores >= thresholds.score
    good &= stability(masks.visible) >= thresholds.stability
    good &= masks.areas >= thresholds.min_area
    masks = masks.select(good)
    masks = masks.select(box_nms(masks.boxes, masks.scores, thresholds.nms))
    return replace(masks, object_ids=np.arange(1, len(masks) + 1))
