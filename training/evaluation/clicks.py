# SPDX-License-Identifier: Apache-2.0
"""A simulated user who clicks at objects until their masks are right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evitsam_ros.segment import Embedding, Masks, Prompt, Segmenter

from .mask_metrics import mask_iou, next_click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class Answer:
    """The mask of object ``index`` after ``clicks`` clicks, ``(H, W)`` bool, and its IoU with the truth."""

    index: int
    clicks: int
    mask: np.ndarray
    iou: float


def click_objects(
    segmenter: Segmenter,
    embedding: Embedding,
    truths: list[np.ndarray],
    clicks: int,
    enough: float = np.inf,
    looks: Callable[[Masks], Masks] | None = None,
) -> Iterator[Answer]:
    """Click at objects and yield every answer, all objects after their first click, then after the second.

    Clicks are placed by :func:`next_click`, the first one as if nothing was segmented. Each answer is decoded
    from all clicks so far, without the mask before. Where no wrong pixel is left to click, the answer stays.

    Args:
        truths: ``(H, W)`` bool masks of the objects, none of them empty.
        clicks: at most so many for each object.
        enough: an object that reached this IoU gets no further click.
        looks: draws some of the masks of every click again; None: none.
    """
    answers = [Answer(index, 0, np.zeros_like(truth), 0.0) for index, truth in enumerate(truths)]
    given: list[list[tuple[tuple[float, float], int]]] = [[] for _ in truths]
    for count in range(1, clicks + 1):
        active = [answer.index for answer in answers if answer.iou < enough]
        asked = []
        for index in active:
            places = [place for place, _ in given[index]]
            click = next_click(truths[index], answers[index].mask, places)
            if click is not None:
                given[index].append(click)
                asked.append(index)
        drawn = _decode(segmenter, embedding, [given[i] for i in asked])
        masks = dict(zip(asked, (looks(drawn) if looks else drawn).full(), strict=True))
        for index in active:
            mask = masks.get(index, answers[index].mask)
            answers[index] = Answer(index, count, mask, mask_iou(mask, truths[index]))
            yield answers[index]


def _decode(
    segmenter: Segmenter, embedding: Embedding, clicks: list[list[tuple[tuple[float, float], int]]]
) -> Masks:
    """Masks for N objects' clicks."""
    prompts = [
        Prompt.parse(points=[p for p, _ in each], labels=[label for _, label in each]) for each in clicks
    ]
    return segmenter.decode(embedding, prompts)
