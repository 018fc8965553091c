# SPDX-License-Identifier: Apache-2.0
"""The objects that the page has prompted on one camera, as the points and boxes that were given.

Every change publishes all prompts of the array again, since an array replaces the one before. An object that
the segmenter stores by itself is sent again when it changes only. Objects move in the meantime:
their prompts are moved with their boxes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from .commands import CommandError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Corners x0, y0, x1, y1 in pixels.
Box = tuple[float, float, float, float]
#: Max number of objects, and of points of an object.
MAX_OBJECTS = 64
MAX_POINTS = 32
#: Seconds after a change until the object's box is taken for that of its prompt.
SETTLED = 1.0


@dataclass(frozen=True)
class PlacedPrompt:
    """A prompt as it is published: points ``(x, y, is_foreground)`` and box in pixels of the newest image."""

    name: str
    points: tuple[tuple[float, float, bool], ...]
    box: Box | None


@dataclass
class _Object:
    """Hold an object: its prompt, its box then and now, and whether the segmenter has it and stores it."""

    name: str
    points: list[tuple[float, float, bool]] = field(default_factory=list)
    box: Box | None = None
    changed: float = 0.0
    then: Box | None = None
    now: Box | None = None
    was_seen: bool = False
    is_gone: bool = False
    is_stored: bool = False

    def placed(self) -> PlacedPrompt:
        if self.then is None or self.now is None:
            return PlacedPrompt(self.name, tuple(self.points), self.box)
        x, y = _axis(self.then, self.now, 0), _axis(self.then, self.now, 1)
        points = tuple((_moved(p[0], x), _moved(p[1], y), p[2]) for p in self.points)
        box = self.box
        if box is not None:
            box = _moved(box[0], x), _moved(box[1], y), _moved(box[2], x), _moved(box[3], y)
        return PlacedPrompt(self.name, points, box)

    def settle(self, now: float) -> None:
        """Take the present place for the given one: the next box is that of a changed prompt."""
        placed = self.placed()
        self.points, self.box = list(placed.points), placed.box
        self.then, self.changed, self.is_gone = None, now, False
        # A stored object is removed and added again: for an image the segmenter may not have it.
        self.was_seen &= not self.is_stored


class PromptSet:
    """The page's objects on one camera. ``now`` is in seconds of a steady clock."""

    def __init__(self) -> None:
        self._objects: dict[str, _Object] = {}
        self._numbers = count(1)
        #: Names of all objects that the segmenter has, whoever has prompted them.
        self._known: frozenset[str] = frozenset()

    @property
    def names(self) -> list[str]:
        """Return the names of the objects that the segmenter has, or will have."""
        return [name for name, each in self._objects.items() if not each.is_gone]

    def add_point(
        self, x: float, y: float, *, is_foreground: bool, target: str, now: float
    ) -> PlacedPrompt | None:
        """Add a point to the object that ``target`` names, or to a new one.

        Returns:
            The changed prompt of an object that the segmenter stores; None: the prompts of the array changed.

        Raises:
            CommandError: A background point has no object, or there are too many.
        """
        if not target and not is_foreground:
            raise CommandError("a background point belongs to an object; choose one from the list first")
        if target and target not in self.names:
            raise CommandError(f"{target} was not prompted on this page; click a new object instead")
        item = self._objects[target] if target else self._new("point")
        if len(item.points) >= MAX_POINTS:
            raise CommandError(f"{item.name} has {MAX_POINTS} points already")
        item.settle(now)
        item.points.append((x, y, is_foreground))
        return item.placed() if item.is_stored else None

    def add_box(self, box: Box, now: float, *, is_stored: bool = False) -> PlacedPrompt:
        """Add a new object by its box, and return its prompt.

        Args:
            box: two opposite corners.
            now: the time.
            is_stored: the segmenter stores the object by itself: it is not a part of the array.

        Raises:
            CommandError: The box is empty, or there are too many objects.
        """
        x0, x1 = sorted((box[0], box[2]))
        y0, y1 = sorted((box[1], box[3]))
        if x1 - x0 < 1 or y1 - y0 < 1:
            raise CommandError(f"box is {x1 - x0:.1f} x {y1 - y0:.1f} pixels; expected 1 x 1 or more")
        item = self._new("box")
        item.settle(now)
        item.box, item.is_stored = (x0, y0, x1, y1), is_stored
        return item.placed()

    def is_stored(self, name: str) -> bool:
        """Return whether there is an object of this name that the segmenter stores by itself."""
        return name in self._objects and self._objects[name].is_stored

    def remove(self, name: str) -> None:
        """Forget an object, if there is one of that name."""
        self._objects.pop(name, None)

    def clear(self) -> None:
        """Forget all objects."""
        self._objects.clear()

    def observe(self, boxes: Mapping[str, Box], now: float) -> None:
        """Note where objects are shown, by their names."""
        for name, box in boxes.items():
            if (item := self._objects.get(name)) is not None:
                item.now, item.was_seen, item.is_gone = box, True, False
                if item.then is None and now - item.changed >= SETTLED:
                    item.then = box

    def observe_names(self, names: set[str]) -> None:
        """Note which objects the segmenter has; one that it had and has no longer was removed elsewhere."""
        self._known = frozenset(names)
        for name, item in self._objects.items():
            if name in names:
                item.was_seen, item.is_gone = True, False
            elif item.was_seen:
                item.is_gone = True

    def placed(self) -> list[PlacedPrompt]:
        """Return the prompts of the array."""
        return [item.placed() for item in self._objects.values() if not (item.is_gone or item.is_stored)]

    def _new(self, kind: str) -> _Object:
        if len(self._objects) >= MAX_OBJECTS:
            self._objects = {name: each for name, each in self._objects.items() if not each.is_gone}
        if len(self._objects) >= MAX_OBJECTS:
            raise CommandError(f"{MAX_OBJECTS} objects are prompted already; remove some")
        # Objects that the segmenter stores outlive this page: theirs may be names of an earlier one.
        name = next(f"{kind} {n}" for n in self._numbers if f"{kind} {n}" not in self._known)
        return self._objects.setdefault(name, _Object(name))


def _axis(then: Box, now: Box, axis: int) -> tuple[float, float, float]:
    """Return centre then, centre now and growth along an axis."""
    before, after = then[axis + 2] - then[axis], now[axis + 2] - now[axis]
    growth = after / before if before > 0 and after > 0 else 1.0
    return (then[axis] + then[axis + 2]) / 2, (now[axis] + now[axis + 2]) / 2, growth


def _moved(value: float, axis: tuple[float, float, float]) -> float:
    then, now, growth = axis
    return (value - then) * growth + now
