# SPDX-License-Identifier: Apache-2.0
"""All that one camera is asked for: what persists, what waits for its image or its turn, what is in work.

Clicks add up; a detector's array takes the place of the arrays that came before it. An order with a stamp
waits, first for its image and then for its turn, and persists once that image was answered. The rules by
which one event makes another void are in ``docs/event_order.md``; all of them are here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import count

from .object_ids import ObjectIds
from .prompt_messages import ObjectPrompt
from .prompt_updates import ActivePrompts, PromptUpdate, StoredPrompt


class PromptStore:
    """Written by the executor's thread; the inference thread begins and finishes a frame's work on it.

    Args:
        most_clicks: clicks that are kept or wait, at most.
    """

    def __init__(self, most_clicks: int) -> None:
        self.most_clicks = most_clicks
        self._lock = threading.RLock()
        self._numbers = count(1)
        self._identities = ObjectIds()
        self._clicks: list[StoredPrompt] = []
        self._array: list[StoredPrompt] = []
        #: Of the order that ``_array`` comes from, and whether that had a stamp.
        self._array_number, self._array_stamped = 0, False
        #: Objects of the newest array that came, whether or not it counts yet.
        self._newest_array: tuple[StoredPrompt, ...] = ()
        self._waiting: dict[int, PromptUpdate] = {}
        self._work: ActivePrompts | None = None

    # Executor's thread -----------------------------------------------------------------------------

    def order(
        self, topic: str, objects: Sequence[ObjectPrompt], array: bool, stamp: int = 0
    ) -> PromptUpdate | None:
        """Number an order and give its objects their ids; None when too many clicks are kept.

        It counts after :meth:`put`, :meth:`wait` or :meth:`due`.
        """
        with self._lock:
            waiting = sum(not order.array for order in self._waiting.values())
            if not array and len(self._clicks) + waiting >= self.most_clicks:
                return None
            taken = self._ids()
            if array:
                clicks = self._ids(of_arrays=False)
                ids = self._identities.of_array(objects, self._newest_array, taken, clicks)
            else:
                ids = [self._identities.next_free(taken) for _ in objects]
            made = [
                StoredPrompt(identity, item.prompt, item.name, item.sender_id)
                for identity, item in zip(ids, objects, strict=True)
            ]
            if array:
                self._newest_array = tuple(made)
            return PromptUpdate(next(self._numbers), topic, array, tuple(made), stamp)

    def put(self, order: PromptUpdate) -> None:
        """The order counts from the next image on; an array makes the earlier ones that wait void."""
        with self._lock:
            if order.array:
                self._void(lambda other: other.number < order.number)
                self._array, self._array_number = list(order.objects), order.number
                self._array_stamped = False
            else:
                self._clicks += order.objects

    def wait(self, order: PromptUpdate, until: float) -> None:
        """The order waits for its image.

        Arrays for later images are void: their clock was set back, or they were corrected.
        """
        with self._lock:
            if order.array:
                self._void(lambda other: other.number < order.number and other.stamp >= order.stamp)
            self._waiting[order.number] = replace(order, until=until)

    def due(self, order: PromptUpdate) -> None:
        """The order's image is there; it waits for its turn. An array makes earlier ones void."""
        with self._lock:
            if order.array:
                self._void(lambda other: other.number < order.number)
            self._waiting[order.number] = replace(order, has_image=True)

    def awaiting(self) -> list[PromptUpdate]:
        """Orders whose image has not come, in their order."""
        with self._lock:
            return [order for order in self._waiting.values() if not order.has_image]

    def waits(self, number: int) -> bool:
        """Whether the order still waits: it was not made void, and is not in work."""
        with self._lock:
            return number in self._waiting

    def give_up(self, number: int) -> PromptUpdate | None:
        """The order will not be answered; it, if it still waited."""
        with self._lock:
            return self._waiting.pop(number, None)

    def give_up_all(self) -> list[PromptUpdate]:
        """No order that waits will be answered; they."""
        with self._lock:
            orders = list(self._waiting.values())
            self._waiting.clear()
            return orders

    def clear(self) -> int:
        """Forget everything: what persists, what waits, what is in work; how many objects there were."""
        with self._lock:
            number = len(self._ids())
            self._clicks, self._array, self._newest_array = [], [], ()
            self._waiting.clear()
            if self._work is not None:
                self._work.objects, self._work.order = [], None
            self._identities.clear()
            return number

    def remove(self, identity: int) -> bool:
        """Forget the object with this id wherever it is; False if there is none."""
        with self._lock:
            if identity not in self._ids():
                return False
            self._without(lambda item: item.identity == identity)
            return True

    def forget_stamped(self) -> int:
        """Forget an array that was meant for one image, which nobody can follow any more; its objects."""
        with self._lock:
            number = len(self._array) if self._array_stamped else 0
            if self._array_stamped:
                self._array = []
            return number

    def all(self) -> list[StoredPrompt]:
        """What persists."""
        with self._lock:
            return [*self._clicks, *self._array]

    def ids(self) -> list[int]:
        """Ids of all objects, of those that wait too."""
        with self._lock:
            return sorted(self._ids())

    # Inference thread ------------------------------------------------------------------------------

    def begin(self, number: int | None, track: bool) -> ActivePrompts | None:
        """What an image is asked about; None when its order is void.

        Args:
            number: of the order that the image is answered for; None: for what persists alone.
            track: without it, an array with a stamp is for its own image alone.
        """
        with self._lock:
            if not track:
                self.forget_stamped()
            order = self._waiting.pop(number, None) if number is not None else None
            if order is None and number is not None:
                return None
            array = self._array if order is None or not order.array else []
            self._work = ActivePrompts(
                [*self._clicks, *array, *(order.objects if order is not None else ())], order
            )
            return self._work

    def wanted(self, work: ActivePrompts) -> set[int]:
        """Ids of the objects in work that were not removed meanwhile."""
        with self._lock:
            return work.ids

    def drop(self, item: StoredPrompt) -> None:
        """Forget one object that does not fit its image."""
        with self._lock:
            self._without(lambda other: other is item)

    def finish(self, work: ActivePrompts, answered: bool, keep: bool) -> PromptUpdate | None:
        """End the work on an image.

        Args:
            work: as begun.
            answered: its masks were published: the objects of its order persist from now on.
            keep: an array's objects persist, too.

        Returns:
            The order that was not answered, if there is one.
        """
        with self._lock:
            order = work.order
            if work is not self._work:  # another thread has gone on
                return order
            self._work = None
            if order is None or not answered:
                return order
            if not order.array:
                self._clicks += order.objects
            elif order.number > self._array_number:
                self._array = list(order.objects) if keep else []
                self._array_number, self._array_stamped = order.number, True
            return None

    # With the lock held ----------------------------------------------------------------------------

    def _ids(self, of_arrays: bool = True) -> set[int]:
        """Ids of all objects, or of those of clicks alone."""
        orders = list(self._waiting.values())
        if self._work is not None and self._work.order is not None:
            orders.append(self._work.order)
        waiting = [item for order in orders if of_arrays or not order.array for item in order.objects]
        return {item.identity for item in (*self._clicks, *(self._array if of_arrays else ()), *waiting)}

    def _void(self, which: Callable[[PromptUpdate], bool]) -> None:
        """Arrays that wait and that ``which`` names are not answered."""
        void = [number for number, order in self._waiting.items() if order.array and which(order)]
        for number in void:
            del self._waiting[number]

    def _without(self, which: Callable[[StoredPrompt], bool]) -> None:
        """Take the objects away that ``which`` names; an order without objects stays one."""

        def left(items: Iterable[StoredPrompt]) -> list[StoredPrompt]:
            return [item for item in items if not which(item)]

        self._clicks, self._array = left(self._clicks), left(self._array)
        self._newest_array = tuple(left(self._newest_array))
        for number, order in list(self._waiting.items()):
            self._waiting[number] = replace(order, objects=tuple(left(order.objects)))
            if not order.array and not self._waiting[number].objects:
                del self._waiting[number]
        if (work := self._work) is not None:
            work.objects = left(work.objects)
            if work.order is not None:
                work.order = replace(work.order, objects=tuple(left(work.order.objects)))
