# SPDX-License-Identifier: Apache-2.0
"""Assign ids to prompted objects: an object keeps its id at any index of a detector's array."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import count, islice

import numpy as np

from ..segment import Prompt
from .prompt_messages import MAX_OBJECTS, ObjectPrompt
from .prompt_updates import StoredPrompt

#: Minimum closeness of two detections of one object: their centres are one size apart.
MIN_CLOSENESS = 0.5
#: The size of a point, pixels.
POINT_SIZE = 32.0
#: Ids are values of a 16-bit label map.
MAX_ID = 65535
#: A number as it is printed, so that "7" and "007" are different objects.
_NUMBER = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)


class ObjectIds:
    """Assign ids from 1 on; a new object gets the lowest free one.

    A detection with an id of its sender keeps the id that it had here, also after arrays without it. If its
    sender's id is a number that is free, it is the id here: the ids of a tracker are passed on. A
    detection without one is the same object as the nearest one of its class in the array before.
    """

    def __init__(self) -> None:
        self._remembered: OrderedDict[str, int] = OrderedDict()

    def clear(self) -> None:
        """Forget the ids of senders."""
        self._remembered.clear()

    def of_clicks(self, number: int, taken: set[int]) -> list[int]:
        """Return ids for new objects."""
        return list(islice(self._free(taken), number))

    def of_array(
        self,
        objects: Sequence[ObjectPrompt],
        before: Sequence[StoredPrompt],
        taken: set[int],
        clicks: set[int],
    ) -> list[int]:
        """Return ids for the objects of a detector's array.

        Args:
            objects: of the array.
            before: objects of the array before.
            taken: ids in use.
            clicks: ids in use that belong to clicks.
        """
        nameless = [index for index, item in enumerate(objects) if not item.sender_id]
        known = _nearest([objects[i] for i in nameless], [item for item in before if not item.sender_id])
        found = {nameless[row]: identity for row, identity in known.items()}
        for index, item in enumerate(objects):
            identity = self._remembered.get(item.sender_id) if item.sender_id else None
            if identity is not None and identity not in clicks:
                found[index] = identity
        self._pass_on_numbers(objects, found, taken)
        free = self._free(taken | set(found.values()))
        ids = [found[index] if index in found else next(free) for index in range(len(objects))]
        self._remember(objects, ids)
        return ids

    def _pass_on_numbers(
        self, objects: Sequence[ObjectPrompt], found: dict[int, int], taken: set[int]
    ) -> None:
        """Give new objects the ids of their sender that are numbers and free."""
        used = taken | set(self._remembered.values()) | set(found.values())
        for index, item in enumerate(objects):
            number = int(item.sender_id) if _NUMBER.fullmatch(item.sender_id) else 0
            if index not in found and 0 < number <= MAX_ID and number not in used:
                found[index] = number
                used.add(number)

    def _free(self, taken: set[int]) -> Iterator[int]:
        used = taken | set(self._remembered.values())
        return (identity for identity in count(1) if identity not in used)

    def _remember(self, objects: Sequence[ObjectPrompt], ids: Sequence[int]) -> None:
        for item, identity in zip(objects, ids, strict=True):
            if item.sender_id:
                self._remembered[item.sender_id] = identity
                self._remembered.move_to_end(item.sender_id)
        while len(self._remembered) > MAX_OBJECTS:
            self._remembered.popitem(last=False)


def _nearest(objects: Sequence[ObjectPrompt], before: Sequence[StoredPrompt]) -> dict[int, int]:
    """Return, by index of an object, the id of the object of ``before`` that has its class and place."""
    if not objects or not before:
        return {}
    from ..tracking.association import assign  # SciPy takes a third of the node's start

    scores = np.array([[_closeness(new, old) for old in before] for new in objects])
    return {row: before[column].identity for row, column in assign(scores, MIN_CLOSENESS)}


def _closeness(new: ObjectPrompt, old: StoredPrompt) -> float:
    """Return 1 in the same place, 0.5 one size apart, 0 for another class."""
    if new.name != old.name:
        return 0.0
    (here, size), (there, other) = _place(new.prompt), _place(old.prompt)
    return float(1 / (1 + np.linalg.norm(here - there) / ((size + other) / 2)))


def _place(prompt: Prompt) -> tuple[np.ndarray, float]:
    """Return the centre x, y and the size of a prompt, pixels."""
    if prompt.box is not None:
        return (prompt.box[:2] + prompt.box[2:]) / 2, float(np.mean(prompt.box[2:] - prompt.box[:2]))
    return prompt.points.mean(0), POINT_SIZE
