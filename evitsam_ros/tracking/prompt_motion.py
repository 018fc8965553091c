# SPDX-License-Identifier: Apache-2.0
"""Move prompts with the image under their objects."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..segment import Embedding, Prompt, PromptError

if TYPE_CHECKING:
    from ..segment.transform import Transform


def warp_prompt(prompt: Prompt, matrix: np.ndarray, transform: Transform) -> Prompt:
    """Move a prompt; a box stays upright and grows with its object.

    Args:
        prompt: in pixels of the original image.
        matrix: ``(2, 3)`` similarity in cells of the low-res logits, see :meth:`.flow.Flow.similarity`.
        transform: geometry of the image.
    """
    scale = transform.pixels_per_cell

    def moved(points: np.ndarray) -> np.ndarray:
        # From pixels to cells, with centres at integers, and back.
        cells = points / scale - 0.5
        return np.asarray((cells @ matrix[:, :2].T + matrix[:, 2] + 0.5) * scale, np.float32)

    points = moved(prompt.points) if len(prompt.points) else prompt.points
    growth = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))

    def moved_box(box: np.ndarray | None) -> np.ndarray | None:
        if box is None:
            return None
        centre = moved((box[:2] + box[2:])[None] / 2)[0]
        reach = np.maximum((box[2:] - box[:2]) / 2 * growth, 0.5)
        return np.concatenate([centre - reach, centre + reach])

    return replace(
        prompt, points=points, box=moved_box(prompt.box), proposal_box=moved_box(prompt.proposal_box)
    )


def resize_prompt(prompt: Prompt, before: tuple[int, int], now: tuple[int, int]) -> Prompt:
    """Scale a prompt from an image of ``before`` (H, W) pixels to one of ``now`` (H, W) pixels."""
    scale = np.array([now[1] / before[1], now[0] / before[0]], np.float32)

    def moved(box: np.ndarray | None) -> np.ndarray | None:
        return None if box is None else box * np.tile(scale, 2)

    return replace(
        prompt, points=prompt.points * scale, box=moved(prompt.box), proposal_box=moved(prompt.proposal_box)
    )


def in_view(prompt: Prompt, size: tuple[int, int]) -> Prompt:
    """Cut a prompt to an image of (H, W) pixels; points outside are dropped.

    Raises:
        PromptError: no part of it is in view.
    """
    inside = prompt.inside(size)
    if prompt.box is None and not (inside & (prompt.labels > 0)).any():
        raise PromptError("out of view")
    return replace(prompt, points=prompt.points[inside], labels=prompt.labels[inside]).clipped(size)


def prompt_from_mask(mask: np.ndarray, embedding: Embedding) -> Prompt:
    """Make a prompt of ``mask (h, w)`` bool on the visible cells: its box, and its most central cell."""
    rows, columns = np.nonzero(mask)
    scale = embedding.transform.pixels_per_cell
    low = np.array([columns.min(), rows.min()])
    high = np.array([columns.max(), rows.max()]) + 1
    nearest = np.argmin((columns - columns.mean()) ** 2 + (rows - rows.mean()) ** 2)
    height, width = embedding.transform.size
    size = np.array([width, height])
    point = np.minimum((np.array([columns[nearest], rows[nearest]]) + 0.5) * scale, size - 0.5)
    box = np.concatenate([low * scale, np.minimum(high * scale, size)])
    return Prompt(points=point[None], box=box)
