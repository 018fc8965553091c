# SPDX-License-Identifier: Apache-2.0
"""A click inside an object that is shown selects that object: it does not add a second one on top.

The click refines an object that was prompted. An object of everything mode becomes a prompted one and keeps
its id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..segment import Masks, Prompt
from .camera_context import CameraContext

#: Points of an object that clicks may add up to; later ones replace those in the middle.
MAX_CLICKS = 8
#: Pixels between two clicks that mean one object before its first answer, as those of a double click do.
SAME_PLACE = 4.0


@dataclass(frozen=True, eq=False)
class ShownObject:
    """Describe an object at a pixel of the last result.

    Attributes:
        identity: value in the label map.
        born: number of a prompted object, see :attr:`.ActivePrompts.born`; None: everything mode found it.
        prompt: its prompt, moved with the image; with the click added.
    """

    identity: int
    born: int | None
    prompt: Prompt


class ShownObjects:
    """The objects of the last answer. The inference thread sets them, the executor's thread reads them."""

    def __init__(self) -> None:
        self._shown: tuple[Masks, Mapping[int, int]] | None = None
        #: Numbers of the prompted objects that the last answer took into account, in sight or not.
        self.answered: frozenset[int] = frozenset()

    def update(self, masks: Masks, born: Mapping[int, int]) -> None:
        """Set the masks that were published, and by id the numbers of the prompted objects."""
        self._shown = masks, born
        self.answered = frozenset(born.values())

    def clear(self) -> None:
        """Forget the objects: consumers show none."""
        self._shown = None

    def at(self, x: float, y: float) -> ShownObject | None:
        """Return the object that the label map shows at a pixel; None for the background."""
        shown = self._shown
        if shown is None:
            return None
        masks, numbers = shown
        boxes = masks.pixel_boxes
        near = np.asarray((boxes[:, :2] <= (x, y)).all(1) & (boxes[:, 2:] >= (x, y)).all(1))
        for index in np.argsort(masks.areas, kind="stable"):  # small objects lie on top
            if not near[index]:
                continue
            part, (top, left) = masks.crop(int(index))
            row, column = int(np.floor(y)) - top, int(np.floor(x)) - left
            if 0 <= row < part.shape[0] and 0 <= column < part.shape[1] and part[row, column]:
                identity = int(masks.object_ids[index])
                born = numbers.get(identity)
                asked = masks.prompts[index] if born is not None and masks.prompts else None
                prompt = _refined(asked or Prompt(box=masks.boxes[index]), x, y)
                return ShownObject(identity, born, prompt)
        return None


class ObjectClicks:
    """Turn clicks on shown objects into selections.

    Args:
        context: of the camera; owns the prompts.
        shown: objects of the last answer.
    """

    def __init__(self, context: CameraContext, shown: ShownObjects) -> None:
        self._context, self._shown = context, shown

    def select(self, topic: str, x: float, y: float) -> bool:
        """Select the object that is shown at a pixel; return False if the click means a new object."""
        found = self._shown.at(x, y)
        store, diagnostics = self._context.prompts, self._context.diagnostics
        if found is None:
            if not store.has_click_near(x, y, SAME_PLACE, self._shown.answered):
                return False
            diagnostics.count("prompts_in")
            return True
        if found.born is not None:
            if not store.refine(found.identity, found.prompt, found.born):
                return False  # it was removed since
            diagnostics.count("objects_refined")
        elif self._context.parameters().mode != "everything":
            return False
        elif store.select(found.identity, found.prompt):
            diagnostics.count("objects_selected")
        else:
            self._context.report_error(
                "bad_prompts", f"{topic}: {store.max_clicks} clicks are stored already; call ~/clear_prompts"
            )
        diagnostics.count("prompts_in")
        return True


def _refined(prompt: Prompt, x: float, y: float) -> Prompt:
    """Add a foreground point; of too many the first ones and the newest stay."""
    points = np.concatenate([prompt.points, np.array([[x, y]], np.float32)])
    labels = np.concatenate([prompt.labels, np.ones(1, np.float32)])
    if len(points) > MAX_CLICKS and len(prompt.points) <= MAX_CLICKS:
        points, labels = np.delete(points, MAX_CLICKS - 1, 0), np.delete(labels, MAX_CLICKS - 1)
    return replace(prompt, points=points, labels=labels, object_id=None)
