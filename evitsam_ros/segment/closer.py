# SPDX-License-Identifier: Apache-2.0
"""Take closer looks: encode the square around a prompted object again, and decode the object in it.

The encoder sees an image at one size, in which a small object is a few cells. A quadtree view
(:mod:`.quadtree_view`) only chooses among these cells, for many prompts at less cost; here new ones are made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .budget import MARGIN, NEWEST
from .frame import Frame
from .iou import mask_iou
from .masks import CloserMask, Masks
from .prompt import FOREGROUND, Prompt
from .refinement import SAME_OBJECT
from .timing import add_timings
from .window import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .segmenter import Segmenter

#: The stage of closer looks.
STAGE = "closer"
#: Max side of a window as a share of the image's: a larger one has no higher resolution.
LARGEST = 0.75


@dataclass
class CloserLooks:
    """Configure the number of closer looks per frame, and hold the measured time of one.

    Attributes:
        count: max number per frame, the smallest objects first.
        seconds: for a frame, from its arrival to its masks; None: no limit but ``count``.
        per_look: running average of the seconds of one.
        left_out: looks that the last frame had no time for.
    """

    count: int
    seconds: float | None = None
    per_look: float = 0.0
    left_out: int = 0

    def fitting(self, wanted: int, spent: float) -> int:
        """Return how many of ``wanted`` looks fit when ``spent`` seconds of the frame are gone.

        The first frame with a limit, without measurements, gets one if any time is left.
        """
        fitting = min(wanted, self.count)
        if self.seconds is not None:
            left = self.seconds * (1 - MARGIN) - spent
            known = int(left / self.per_look) if self.per_look else 1
            fitting = min(fitting, max(0, known if left > 0 else 0))
        self.left_out = min(wanted, self.count) - fitting
        return fitting

    def learn(self, looks: int, seconds: float) -> None:
        """Learn from a frame: its looks, and the seconds of all of them."""
        if looks:
            share = NEWEST if self.per_look else 1.0
            self.per_look += share * (seconds / looks - self.per_look)


def look_closer(
    segmenter: Segmenter, image: np.ndarray | Frame, masks: Masks, looks: CloserLooks, spent: float = 0.0
) -> Masks:
    """Draw the masks of some prompted objects again, on squares around them.

    A new mask of another object is dropped.

    Args:
        segmenter: that drew the masks.
        image: ``(H, W, 3)`` uint8 RGB, or a frame: the image of the masks.
        masks: one for each prompt, with their prompts.
        looks: how many, and the time that there is; it learns from every frame.
        spent: seconds that the frame has taken already.

    Returns:
        The masks in their order; their timings have the stage ``closer``.
    """
    looks.left_out = 0
    if looks.count < 1:
        return masks
    frame = image if isinstance(image, Frame) else Frame(image)
    windows = _windows(masks)
    chosen = sorted(windows, key=lambda row: float(masks.areas[row]))
    chosen = chosen[: looks.fitting(len(chosen), spent)]
    if not chosen:
        return masks
    timer = segmenter.new_timer()
    with timer.stage(STAGE):
        found = _draw(segmenter, frame, [(windows[row], masks, row) for row in chosen])
        logits, scores = masks.logits.copy(), masks.scores.copy()
        closer = list(masks.closer or (None,) * len(masks))
        indices = None if masks.mask_indices is None else masks.mask_indices.copy()
        for row, mask in zip(chosen, found, strict=True):
            window = windows[row]
            if not _is_same(window, mask, masks, row):
                continue
            logits[row] = window.place_into(logits[row], mask.logits[0], mask.transform, masks.transform)
            scores[row], closer[row] = mask.scores[0], CloserMask(mask, (window.x0, window.y0))
            if indices is not None and mask.mask_indices is not None:
                indices[row] = mask.mask_indices[0]
    looks.learn(len(chosen), timer.seconds[STAGE])
    return replace(
        masks,
        logits=logits,
        scores=scores,
        mask_indices=indices,
        closer=tuple(closer),
        timings=add_timings(masks.timings, timer.seconds),
    )


def _windows(masks: Masks) -> dict[int, Window]:
    """Return the window of each mask that a closer look may improve, by row."""
    found = {}
    longest = LARGEST * max(masks.image_size)
    for row, prompt in enumerate(masks.prompts):
        if masks.areas[row] <= 0:
            continue
        window = Window.around(_extent(prompt, masks.boxes[row]), masks.image_size)
        if max(window.size) <= longest:
            found[row] = window
    return found


def _extent(prompt: Prompt, drawn: np.ndarray) -> np.ndarray:
    """Return the extent ``(4,)`` that a window has to cover: the prompt's box or the mask's, and foreground
    points.
    """
    box = drawn if prompt.box is None else prompt.box
    points = prompt.points[prompt.labels == FOREGROUND]
    low, high = np.vstack([box[:2], points]).min(0), np.vstack([box[2:], points]).max(0)
    return np.concatenate([low, high])


def _draw(segmenter: Segmenter, frame: Frame, wanted: Sequence[tuple[Window, Masks, int]]) -> list[Masks]:
    """Draw a mask on each window; as many windows are encoded together as the runtime gains by."""
    together = max(1, segmenter.runtime.batch)
    drawn = []
    for start in range(0, len(wanted), together):
        part = wanted[start : start + together]
        embeddings = segmenter.embed_batch([Frame(window.crop(frame.image)) for window, *_ in part])
        for embedding, (window, masks, row) in zip(embeddings, part, strict=True):
            prompt = masks.prompts[row]
            box = masks.boxes[row] if prompt.box is None else prompt.box
            drawn.append(segmenter.decode(embedding, [window.shift(prompt, box)]))
    return drawn


def _is_same(window: Window, found: Masks, masks: Masks, row: int) -> bool:
    """Return whether a mask on a window is of the same object as the one that it would replace."""
    before = window.view_of(masks.logits[row], found.transform, masks.transform)
    return bool(mask_iou(before > 0, found.unpadded_logits[0] > 0) >= SAME_OBJECT)
