# SPDX-License-Identifier: Apache-2.0
"""Simulate a user who clicks at objects until their masks are right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evitsam_ros.segment import Embedding, Masks, Prompt, Segmenter

from .mask_metrics import mask_iou, next_click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class ClickResult:
    """Hold the ``(H, W)`` bool mask of object ``index`` after ``clicks`` clicks, and its true IoU."""

    index: int
    clicks: int
    mask: np.ndarray
    iou: float


def click_objects(
    segmenter: Segmenter,
    embedding: Embedding,
    truths: list[np.ndarray],
    clicks: int,
    target_iou: float = np.inf,
    refine: Callable[[Masks], Masks] | None = None,
) -> Iterator[ClickResult]:
    """Click at objects and yield each result: all objects after their first click, then after the second.

    Clicks are placed by :func:`next_click`, the first one as for an empty mask. Each result is decoded from
    all clicks so far, without the previous mask. If no wrong pixel is left, the result stays the same.

    Args:
        segmenter: decodes the prompts.
        embedding: of the image.
        truths: ``(H, W)`` bool masks of the objects, none of them empty.
        clicks: max number for each object.
        target_iou: an object that reached this IoU gets no more clicks.
        refine: refines some of the masks after each click; None: none.
    """
    results = [ClickResult(index, 0, np.zeros_like(truth), 0.0) for index, truth in enumerate(truths)]
    clicks_of: list[list[tuple[tuple[float, float], int]]] = [[] for _ in truths]
    for count in range(1, clicks + 1):
        active = [result.index for result in results if result.iou < target_iou]
        clicked = []
        for index in active:
            places = [place for place, _ in clicks_of[index]]
            click = next_click(truths[index], results[index].mask, places)
            if click is not None:
                clicks_of[index].append(click)
                clicked.append(index)
        predicted = _decode(segmenter, embedding, [clicks_of[i] for i in clicked])
        masks = dict(zip(clicked, (refine(predicted) if refine else predicted).full(), strict=True))
        for index in active:
            mask = masks.get(index, results[index].mask)
            results[index] = ClickResult(index, count, mask, mask_iou(mask, truths[index]))
            yield results[index]


def _decode(
    segmenter: Segmenter, embedding: Embedding, clicks: list[list[tuple[tuple[float, float], int]]]
) -> Masks:
    """Decode masks for the clicks of N objects."""
    prompts = [
        Prompt.parse(points=[p for p, _ in each], labels=[label for _, label in each]) for each in clicks
    ]
    return segmenter.decode(embedding, prompts)
