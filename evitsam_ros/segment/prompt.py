# SPDX-License-Identifier: Apache-2.0
"""What to segment: points, a box, an earlier mask, or several of them for one object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

#: Label of a point that the object does not contain, and of one that it does.
BACKGROUND, FOREGROUND = 0, 1
#: More prompts than this (a grid of 32 x 32) in one call are refused: no scene needs them, and they would
#: block the node.
MAX_PROMPTS = 1024
MAX_POINTS = 64


class PromptError(ValueError):
    """A prompt that cannot be meant."""


@dataclass(frozen=True)
class Prompt:
    """One object to segment. Coordinates are pixels of the original image, (0, 0) its top-left corner.

    Attributes:
        points: ``(N, 2)`` x, y; or None.
        labels: ``(N,)`` 1 foreground or 0 background; all foreground if left out.
        box: x0, y0, x1, y1; or None.
        mask: ``(h, w)`` low-res logits of an earlier answer; or None.
        object_id: number of the object in the results, 1 to 65535; given in order when None.
        guess: x0, y0, x1, y1 of about where the object is, which the decoder is not told: of proposals whose
            guesses overlap one is decoded; or None.

    Raises:
        PromptError: shapes do not fit, a number is not finite, a label is not 0 or 1, the box is empty,
            or there is neither foreground point nor box nor mask: background points alone name no object.
    """

    points: np.ndarray | Sequence[Sequence[float]] | None = None
    labels: np.ndarray | Sequence[int] | None = None
    box: np.ndarray | Sequence[float] | None = None
    mask: np.ndarray | None = None
    object_id: int | None = None
    guess: np.ndarray | None = None

    def __post_init__(self) -> None:
        points = np.zeros((0, 2), np.float32) if self.points is None else _array(self.points, "points")
        if points.ndim != 2 or points.shape[1] != 2:
            raise PromptError(f"points have shape {points.shape}; expected (N, 2)")
        if len(points) > MAX_POINTS:
            raise PromptError(f"{len(points)} points for one object; expected at most {MAX_POINTS}")
        labels = np.ones(len(points), np.float32) if self.labels is None else _array(self.labels, "labels")
        if labels.shape != (len(points),):
            raise PromptError(f"{labels.size} labels for {len(points)} points; expected one label a point")
        if not ((labels == BACKGROUND) | (labels == FOREGROUND)).all():
            raise PromptError(f"labels are {labels.tolist()}; expected 1 (foreground) or 0 (background)")
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "labels", labels)
        if self.box is not None:
            object.__setattr__(self, "box", _check_box(_array(self.box, "box")))
        if self.guess is not None:
            object.__setattr__(self, "guess", _check_box(_array(self.guess, "guess")))
        if self.mask is not None:
            object.__setattr__(self, "mask", _check_mask(_array(self.mask, "mask")))
        if len(points) == 0 and self.box is None and self.mask is None:
            raise PromptError("the prompt is empty; expected points, a box or a mask")
        if self.box is None and self.mask is None and not (labels == FOREGROUND).any():
            raise PromptError("all points are background; expected a foreground point, a box or a mask too")
        if self.object_id is not None and not 1 <= self.object_id <= 65535:
            raise PromptError(f"object_id is {self.object_id}; expected 1 to 65535")

    def clipped(self, image_size: tuple[int, int]) -> Prompt:
        """This prompt within an image of (H, W) pixels: a box that sticks out is cut.

        Raises:
            PromptError: a point or the whole box lies outside.
        """
        height, width = image_size
        inside = self.inside(image_size)
        if not inside.all():
            x, y = self.points[~inside][0]
            raise PromptError(f"point ({x:g}, {y:g}) is outside the image of {width}x{height} pixels")
        if self.box is None:
            return self
        low, high = np.maximum(self.box[:2], 0), np.minimum(self.box[2:], (width, height))
        if (high <= low).any():
            box = ", ".join(f"{value:g}" for value in self.box)
            raise PromptError(f"box ({box}) is outside the image of {width}x{height} pixels")
        cut = np.concatenate([low, high])
        if np.array_equal(cut, self.box):
            return self
        return replace(self, box=cut)

    def inside(self, image_size: tuple[int, int]) -> np.ndarray:
        """``(N,)`` bool: which points lie in an image of (H, W) pixels; its edges belong to it."""
        height, width = image_size
        return ((self.points >= 0) & (self.points <= (width, height))).all(1)

    @property
    def extent(self) -> np.ndarray | None:
        """Where the object is taken to be: the box, else the guess, else None."""
        return self.guess if self.box is None else self.box


def _array(value: object, name: str) -> np.ndarray:
    try:
        with np.errstate(over="ignore"):  # beyond float32: infinity, which is rejected below
            array = np.asarray(value, np.float32)
    except (TypeError, ValueError) as error:
        raise PromptError(f"{name} are not numbers: {value!r}") from error
    if not np.isfinite(array).all():
        raise PromptError(f"{name} hold NaN or infinity; expected finite numbers")
    return array


def _check_box(box: np.ndarray) -> np.ndarray:
    if box.shape != (4,):
        raise PromptError(f"box has shape {box.shape}; expected x0, y0, x1, y1")
    if box[2] <= box[0] or box[3] <= box[1]:
        raise PromptError(f"box {box.tolist()} is empty; expected x1 > x0 and y1 > y0")
    return box


def _check_mask(mask: np.ndarray) -> np.ndarray:
    if mask.ndim != 2:
        raise PromptError(f"mask has shape {mask.shape}; expected low-res logits (h, w)")
    return mask


def check_prompts(prompts: Sequence[Prompt], image_size: tuple[int, int], first: int = 0) -> list[Prompt]:
    """Cut all prompts to the image: the one check of every way that prompts come in.

    Args:
        prompts: in pixels.
        image_size: (H, W).
        first: index of the first of them, for the error.

    Raises:
        PromptError: naming the first prompt that is wrong by its index, or there are too many.
    """
    if len(prompts) > MAX_PROMPTS:
        raise PromptError(f"{len(prompts)} prompts at once; expected at most {MAX_PROMPTS}")
    checked = []
    for index, prompt in enumerate(prompts, first):
        try:
            checked.append(prompt.clipped(image_size))
        except PromptError as error:
            raise PromptError(f"prompt {index}: {error}") from error
    return checked
