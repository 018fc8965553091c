# SPDX-License-Identifier: Apache-2.0
"""Prompts: points, a box, an earlier mask, or several of them for one object."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ..deprecation import renamed_keywords, warn_renamed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

#: Label of a point that the object does not contain, and of one that it does.
BACKGROUND, FOREGROUND = 0, 1
#: More prompts than this (a grid of 32 x 32) in one call are rejected: no scene needs them, and they would
#: block the node.
MAX_PROMPTS = 1024
MAX_POINTS = 64
#: The default of a prompt's labels, known by its identity: as many as there are points, all foreground.
_ALL_FOREGROUND = np.zeros(0, np.float32)


class PromptError(ValueError):
    """Report an invalid prompt; the message names the fault."""


@dataclass(frozen=True)
class Prompt:
    """Describe one object to segment. Coordinates are pixels of the original image, (0, 0) its top-left
    corner.

    :meth:`parse` makes one of lists and tuples, with types to match.

    Attributes:
        points: ``(N, 2)`` float32 x, y.
        labels: ``(N,)`` float32 1 foreground or 0 background; all foreground if omitted.
        box: ``(4,)`` float32 x0, y0, x1, y1; or None.
        mask: ``(h, w)`` float32 low-res logits of an earlier result; or None.
        object_id: number of the object in the results, 1 to 65535; given in order when None.
        proposal_box: ``(4,)`` float32 x0, y0, x1, y1 the estimated extent of the object, which the decoder
            does not read: only one of several proposals with overlapping boxes is decoded; or None.

    Raises:
        PromptError: shapes do not fit, a number is not finite, a label is not 0 or 1, the box is empty,
            or there is neither foreground point nor box nor mask: background points alone name no object.
    """

    points: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    labels: np.ndarray = field(default_factory=lambda: _ALL_FOREGROUND)
    box: np.ndarray | None = None
    mask: np.ndarray | None = None
    object_id: int | None = None
    proposal_box: np.ndarray | None = None

    @classmethod
    def parse(
        cls,
        points: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        box: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        object_id: int | None = None,
    ) -> Prompt:
        """Make a prompt of lists, tuples or arrays of any numbers; None omits a field.

        Raises:
            PromptError: as of the class, or a value is not a number.
        """
        return cls(
            np.zeros((0, 2), np.float32) if points is None else _array(points, "points"),
            _ALL_FOREGROUND if labels is None else _array(labels, "labels"),
            None if box is None else _array(box, "box"),
            None if mask is None else _array(mask, "mask"),
            object_id,
        )

    @property
    def guess(self) -> np.ndarray | None:
        """Return ``proposal_box``; deprecated."""
        warn_renamed("Prompt.guess", "Prompt.proposal_box")
        return self.proposal_box

    def __post_init__(self) -> None:
        # Lists, tuples and None work here too, as they always have.
        given: object = self.points
        points = np.zeros((0, 2), np.float32) if given is None else _array(given, "points")
        if points.ndim != 2 or points.shape[1] != 2:
            raise PromptError(f"points have shape {points.shape}; expected (N, 2)")
        if len(points) > MAX_POINTS:
            raise PromptError(f"{len(points)} points for one object; expected at most {MAX_POINTS}")
        left_out = self.labels is None or self.labels is _ALL_FOREGROUND
        labels = np.ones(len(points), np.float32) if left_out else _array(self.labels, "labels")
        if labels.shape != (len(points),):
            raise PromptError(f"{labels.size} labels for {len(points)} points; expected one label a point")
        if not ((labels == BACKGROUND) | (labels == FOREGROUND)).all():
            raise PromptError(f"labels are {labels.tolist()}; expected 1 (foreground) or 0 (background)")
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "labels", labels)
        if self.box is not None:
            object.__setattr__(self, "box", _check_box(_array(self.box, "box")))
        if self.proposal_box is not None:
            array = _array(self.proposal_box, "proposal_box")
            object.__setattr__(self, "proposal_box", _check_box(array))
        if self.mask is not None:
            object.__setattr__(self, "mask", _check_mask(_array(self.mask, "mask")))
        if len(points) == 0 and self.box is None and self.mask is None:
            raise PromptError("the prompt is empty; expected points, a box or a mask")
        if self.box is None and self.mask is None and not (labels == FOREGROUND).any():
            raise PromptError("all points are background; expected a foreground point, a box or a mask too")
        if self.object_id is not None and not _is_id(self.object_id):
            raise PromptError(f"object_id is {self.object_id!r}; expected a whole number from 1 to 65535")

    def clipped(self, image_size: tuple[int, int]) -> Prompt:
        """Clip the prompt to an image of (H, W) pixels: a box beyond the border is clipped.

        Raises:
            PromptError: a point or the entire box is outside.
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
        """Return ``(N,)`` bool: whether each point is in an image of (H, W) pixels, edges included."""
        height, width = image_size
        fits: np.ndarray = (self.points >= 0) & (self.points <= np.array([width, height]))
        return np.asarray(fits.all(1))

    @property
    def extent(self) -> np.ndarray | None:
        """Where the object is taken to be: the box, else the proposal's box, else None."""
        return self.proposal_box if self.box is None else self.box


# On __init__, as dataclass writes it: a class decorator would hide the class.
Prompt.__init__ = renamed_keywords(guess="proposal_box")(Prompt.__init__)  # type: ignore[method-assign]


def _is_id(value: object) -> bool:
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return is_whole and 1 <= int(value) <= 65535  # type: ignore[call-overload]


def _array(value: object, name: str) -> np.ndarray:
    try:
        with np.errstate(over="ignore"):  # beyond float32: infinity, which is rejected below
            array: np.ndarray = np.asarray(value, np.float32)
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
    """Check all prompts and clip them to the image: the common check of every source of prompts.

    Args:
        prompts: in pixels.
        image_size: (H, W).
        first: index of the first of them, for the error.

    Raises:
        PromptError: there are too many, or one is invalid; the message has its index.
    """
    if len(prompts) > MAX_PROMPTS:
        raise PromptError(f"{len(prompts)} prompts at once; expected at most {MAX_PROMPTS}")
    checked = []
    for index, prompt in enumerate(prompts, first):
        if not isinstance(prompt, Prompt):
            raise PromptError(f"prompt {index} is a {type(prompt).__name__}; expected a Prompt")
        try:
            checked.append(prompt.clipped(image_size))
        except PromptError as error:
            raise PromptError(f"prompt {index}: {error}") from error
    return checked
