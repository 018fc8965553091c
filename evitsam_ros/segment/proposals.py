# SPDX-License-Identifier: Apache-2.0
"""Make prompts for the full image: AutoPPN's proposals, a grid, and points between the proposals.

AutoPPN's proposals cluster on small things; walls, floors and skies between them get points of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from .mask_filter import box_nms
from .prompt import Prompt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .transform import Transform

#: Share of a frame's prompts that covering points may take.
SHARE = 1 / 4
#: Places for them along each side of the image.
PER_SIDE = 20


def decode_proposals(
    heat: np.ndarray,
    distances: np.ndarray,
    transform: Transform,
    max_prompts: int,
    threshold: float,
    boxes: bool = True,
) -> list[Prompt]:
    """Decode AutoPPN's maps to prompts, best first (Lite-SAM section 3.3: Point-NMS, then the top N).

    Args:
        heat: ``(1, 1, h, w)`` in 0..1.
        distances: ``(1, 4, h, w)`` to the left, top, right and bottom as fractions of the padded side.
        transform: geometry of the image.
        max_prompts: max number of prompts.
        threshold: min heat.
        boxes: give the decoder the box beside the point, as in the paper; else it is the ``proposal_box``.
    """
    heat, distances = heat[0, 0], distances[0]
    rows, cols = (min(n, s) for n, s in zip(transform.visible_cells, heat.shape, strict=True))
    # Point-NMS: a cell stays if it is the maximum of its 3x3 neighbourhood.
    peaks = heat >= cv2.dilate(heat, np.ones((3, 3), np.uint8))
    peaks &= heat >= threshold
    ys, xs = np.nonzero(peaks[:rows, :cols])
    best = np.argsort(-heat[ys, xs], kind="stable")[:max_prompts]
    ys, xs = ys[best], xs[best]
    centre = np.stack([(xs + 0.5) / heat.shape[1], (ys + 0.5) / heat.shape[0]], axis=1)
    low = centre - distances[:2, ys, xs].T
    high = centre + distances[2:, ys, xs].T
    cells = np.array(heat.shape[::-1])
    to_pixels = transform.pixels_per_cell * np.array(transform.mask_size[::-1])
    size = np.array([transform.size[1], transform.size[0]])
    # A click at the edge of the last cell may fall just outside the image.
    points = np.minimum(centre * to_pixels, size - 0.5)
    reach = to_pixels / cells
    low = np.clip(np.minimum(low * to_pixels, points - reach / 2), 0, None)
    high = np.minimum(np.maximum(high * to_pixels, points + reach / 2), size)
    label, extents = np.ones(1, np.float32), np.concatenate([low, high], axis=1)
    return [
        Prompt(point[None], label, box=extent if boxes else None, proposal_box=None if boxes else extent)
        for point, extent in zip(points, extents, strict=True)
    ]


def suppress_duplicate_prompts(
    prompts: list[Prompt], known: Sequence[Prompt], max_iou: float
) -> list[Prompt]:
    """Drop prompts with an extent that overlaps an earlier one's, or one of ``known``.

    Args:
        prompts: best first; those without an extent are kept.
        known: prompts that are decoded anyway.
        max_iou: the largest IoU of two extents that are both decoded.
    """
    boxed = [prompt for prompt in (*known, *prompts) if prompt.extent is not None]
    extents = [prompt.extent for prompt in boxed if prompt.extent is not None]
    if not boxed or max_iou >= 1:
        return prompts
    order = -np.arange(len(boxed), dtype=np.float32)  # earlier ones win
    kept = {id(boxed[i]) for i in box_nms(np.stack(extents), order, max_iou)}
    return [prompt for prompt in prompts if prompt.extent is None or id(prompt) in kept]


def grid_points(size: tuple[int, int], per_side: int) -> np.ndarray:
    """SAM's regular grid: ``per_side`` squared points x, y in pixels of an image of (H, W), row by row."""
    offsets = (np.arange(per_side) + 0.5) / per_side
    xs, ys = np.meshgrid(offsets * size[1], offsets * size[0])
    return np.stack([xs, ys], -1).reshape(-1, 2)


def grid_prompts(size: tuple[int, int], per_side: int) -> list[Prompt]:
    """Make a prompt of one foreground point for each of :func:`grid_points`."""
    return [Prompt(points=point[None]) for point in grid_points(size, per_side)]


def covering_points(known: list[Prompt], size: tuple[int, int], count: int) -> list[Prompt]:
    """Choose up to ``count`` points, each the farthest from all before it and from the positions of
    ``known``.

    Args:
        known: prompts that are decoded anyway, in pixels of the image; of a box without points, its middle.
        size: (H, W) of the image, pixels.
        count: max number of points; without known prompts, a square grid of no more.
    """
    if not known or count <= 0:
        return grid_prompts(size, int(max(count, 0) ** 0.5))
    taken = np.concatenate([_places(prompt) for prompt in known])
    spots = grid_points(size, PER_SIDE)
    distances = np.linalg.norm(spots[:, None] - taken[None], axis=2).min(1)
    found = []
    for _ in range(min(count, len(spots))):
        farthest = int(distances.argmax())
        found.append(Prompt(points=spots[farthest][None]))
        distances = np.minimum(distances, np.linalg.norm(spots - spots[farthest], axis=1))
    return found


def _places(prompt: Prompt) -> np.ndarray:
    """Return the ``(N, 2)`` positions of a prompt in pixels; none for a mask prompt."""
    if prompt.box is None or len(prompt.points):
        return prompt.points
    return np.asarray(prompt.box.reshape(2, 2).mean(0)[None])
