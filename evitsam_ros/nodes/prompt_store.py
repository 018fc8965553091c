# SPDX-License-Identifier: Apache-2.0
"""Store all prompts of one camera: active ones, pending ones, and those of the image in process.

Clicks add up; a detector's array replaces the arrays that came before it. An update with a stamp is pending
until its image has arrived and is processed, and is stored afterwards. The rules by which one event cancels
another are in ``docs/event_order.md``; all of them are implemented here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from itertools import count

import numpy as np

from ..segment import Prompt
from .object_ids import ObjectIds
from .prompt_messages import ObjectPrompt
from .prompt_updates import ActivePrompts, PendingPrompt, PromptUpdate, StoredPrompt


class PromptStore:
    """Written by the executor's thread; the inference thread begins and finishes the work on an image.

    Args:
        max_clicks: largest number of clicks that are stored or pending.
    """

    def __init__(self, max_clicks: int) -> None:
        self.max_clicks = max_clicks
        self._lock = threading.RLock()
        self._numbers = count(1)
        self._object_ids = ObjectIds()
        self._clicks: list[StoredPrompt] = []
        self._array: list[StoredPrompt] = []
        #: Number of the update that set ``_array``, and whether it had a stamp.
        self._array_number, self._array_stamped = 0, False
        #: Objects of the newest array that arrived, whether or not it applies yet.
        self._newest_array: tuple[StoredPrompt, ...] = ()
        self._pending: dict[int, PendingPrompt] = {}
        self._active = ActivePrompts([])
        #: By id, a number that no earlier object had: ids are used again.
        self._born: dict[int, int] = {}
        self._births = count(1)
        #: Ids of clicks that are answered in everything mode too: those that were given there.
        self._beside: set[int] = set()
        #: Ids that everything mode shows.
        self._avoided: frozenset[int] = frozenset()

    # Executor's thread -----------------------------------------------------------------------------

    def new_update(
        self, topic: str, objects: Sequence[ObjectPrompt], stamp: int = 0, *, is_array: bool
    ) -> PromptUpdate | None:
        """Create an update with ids for its objects; return None when too many clicks are stored.

        It takes effect by :meth:`apply`, :meth:`await_image` or :meth:`await_turn`.
        """
        with self._lock:
            clicks = [*self._clicks, *self._pending_clicks()]
            if not is_array and len(clicks) + len(objects) > self.max_clicks:
                return None
            before = self._ids()
            taken = before | self._avoided
            if is_array:
                of_clicks = self._ids(of_arrays=False)
                ids = self._object_ids.of_array(objects, self._newest_array, taken, of_clicks)
            else:
                ids = self._object_ids.of_clicks(len(objects), taken)
            stored = tuple(
                StoredPrompt(identity, item.prompt, item.name, item.sender_id, item.score)
                for identity, item in zip(ids, objects, strict=True)
            )
            self._born |= {i: next(self._births) for i in ids if i not in before}
            if is_array:
                self._newest_array = stored
            return PromptUpdate(next(self._numbers), topic, is_array, stored, stamp)

    def apply(self, update: PromptUpdate) -> None:
        """Store an update from the next image on; an array makes earlier pending arrays void."""
        with self._lock:
            if update.is_array:
                self._void_arrays(lambda other: other.number < update.number)
                self.replace_boxes(update.objects, update.number, has_stamp=False)
            else:
                self.add_points(update.objects)

    def add_points(self, objects: Iterable[StoredPrompt]) -> None:
        """Store clicks beside the earlier ones."""
        with self._lock:
            self._clicks += objects

    def refine(self, identity: int, prompt: Prompt, born: int) -> bool:
        """Replace the prompt of a stored object from the next image on; return False if it was removed.

        Args:
            identity: of the object.
            prompt: the new one.
            born: the object's number, see :attr:`ActivePrompts.born`.
        """
        with self._lock:
            found = False
            if self._born.get(identity) != born:
                return False

            def refined(items: Iterable[StoredPrompt]) -> list[StoredPrompt]:
                nonlocal found
                known = list(items)
                found |= any(item.identity == identity for item in known)
                return [replace(item, prompt=prompt) if item.identity == identity else item for item in known]

            self._clicks, self._array = refined(self._clicks), refined(self._array)
            if (update := self._active.update) is not None:
                self._active.update = replace(update, objects=tuple(refined(update.objects)))
            return found

    def show_beside(self, objects: Iterable[StoredPrompt]) -> None:
        """Answer clicks beside the objects of everything mode, too."""
        with self._lock:
            self._beside |= {item.identity for item in objects}

    def has_click_near(self, x: float, y: float, distance: float, known: Collection[int]) -> bool:
        """Return whether a click so near is stored or waits, of an object with no number of ``known``."""
        with self._lock:
            pending = [item.update for item in self._pending.values() if not item.update.is_array]
            clicks = [*self._clicks, *(item for update in pending for item in update.objects)]
            points = [item.prompt.points for item in clicks if self._born.get(item.identity) not in known]
            return any(bool((np.hypot(*(p - (x, y)).T) <= distance).any()) for p in points)

    def select(self, identity: int, prompt: Prompt) -> bool:
        """Store an object of everything mode as a click, with its id; return False if there are too many."""
        with self._lock:
            if identity in self._ids():  # a second click before the first one is answered
                return True
            if len(self._clicks) >= self.max_clicks:
                return False
            self._clicks.append(StoredPrompt(identity, prompt))
            self._born[identity] = next(self._births)
            self._beside.add(identity)
            return True

    def replace_boxes(self, objects: Iterable[StoredPrompt], number: int, *, has_stamp: bool) -> None:
        """Store the objects of an array in place of those of the array before.

        Args:
            objects: of the array.
            number: of its update.
            has_stamp: the array refers to one image.
        """
        with self._lock:
            self._array, self._array_number, self._array_stamped = list(objects), number, has_stamp

    def await_image(self, update: PromptUpdate, deadline: float) -> None:
        """Keep an update until its image arrives.

        Arrays for later images become void: their clock was set back, or they were corrected.
        """
        with self._lock:
            if update.is_array:
                self._void_arrays(lambda other: other.number < update.number and other.stamp >= update.stamp)
            self._pending[update.number] = PendingPrompt(update, deadline)

    def await_turn(self, update: PromptUpdate) -> None:
        """Store an update until its image, which has arrived, is processed. An array cancels earlier ones."""
        with self._lock:
            if update.is_array:
                self._void_arrays(lambda other: other.number < update.number)
            self._pending[update.number] = PendingPrompt(update, has_image=True)

    def without_image(self) -> list[PendingPrompt]:
        """Return the updates without an image so far, in the order of arrival."""
        with self._lock:
            return [item for item in self._pending.values() if not item.has_image]

    def is_pending(self, number: int) -> bool:
        """Return whether an update still waits: it was not made void, and is not in work."""
        with self._lock:
            return number in self._pending

    def discard(self, number: int) -> PromptUpdate | None:
        """Remove a pending update; return it if it was still pending."""
        with self._lock:
            item = self._pending.pop(number, None)
            return item.update if item is not None else None

    def discard_all(self) -> list[PromptUpdate]:
        """Remove and return all pending updates."""
        with self._lock:
            updates = [item.update for item in self._pending.values()]
            self._pending.clear()
            return updates

    def clear(self) -> int:
        """Forget all stored, pending and active prompts; return how many objects there were."""
        with self._lock:
            number = len(self._ids())
            self._clicks, self._array, self._newest_array = [], [], ()
            self._pending.clear()
            self._active.objects, self._active.update = [], None
            self._object_ids.clear()
            self._beside.clear()
            return number

    def remove(self, identity: int) -> bool:
        """Remove the object with this id in any state; return False if there is none."""
        with self._lock:
            if identity not in self._ids():
                return False
            self._remove_objects(lambda item: item.identity == identity)
            return True

    def forget_stamped(self) -> int:
        """Forget an array that referred to one image and cannot be followed; return its object count."""
        with self._lock:
            number = len(self._array) if self._array_stamped else 0
            if self._array_stamped:
                self._array = []
            return number

    def ids_by_name(self) -> dict[str, int]:
        """Return the ids of the objects that have an id or a name of their sender, pending ones included."""
        with self._lock:
            return {item.sender_id: item.identity for item in self._objects() if item.sender_id}

    def all(self) -> list[StoredPrompt]:
        """Return the stored prompts."""
        with self._lock:
            return [*self._clicks, *self._array]

    def ids(self) -> list[int]:
        """Return the ids of all objects, pending ones included."""
        with self._lock:
            return sorted(self._ids())

    # Inference thread ------------------------------------------------------------------------------

    def avoid(self, ids: Iterable[int]) -> None:
        """Give new objects none of these ids, which everything mode shows."""
        with self._lock:
            self._avoided = frozenset(ids)

    def begin(self, number: int | None, *, track: bool, beside: bool = False) -> ActivePrompts | None:
        """Return the prompts of the next image; None if its update is cancelled.

        Args:
            number: of the update that the image is processed for; None: only stored prompts apply.
            track: objects are followed; otherwise an array with a stamp applies to its own image only.
            beside: in everything mode only clicks apply that were given there.
        """
        with self._lock:
            if not track:
                self.forget_stamped()
            update = self.discard(number) if number is not None else None
            if update is None and number is not None:
                return None
            array = [] if update is not None and update.is_array else self._array
            stored = [*self._clicks, *array]
            if beside:
                stored = [item for item in self._clicks if item.identity in self._beside]
            objects = [*stored, *(update.objects if update is not None else ())]
            born = {item.identity: self._born.get(item.identity, 0) for item in objects}
            self._active = ActivePrompts(objects, update, born)
            return self._active

    def active_ids(self, active: ActivePrompts) -> set[int]:
        """Return the ids of the objects in work that were not removed meanwhile."""
        with self._lock:
            return active.ids

    def drop(self, item: StoredPrompt) -> None:
        """Forget one object that does not fit its image."""
        with self._lock:
            self._remove_objects(lambda other: other is item)

    def finish(self, active: ActivePrompts, *, processed: bool, keep: bool) -> PromptUpdate | None:
        """End the work on an image.

        Args:
            active: as begun.
            processed: its masks were published: the objects of its update are stored from now on.
            keep: the objects of an array are stored, too.

        Returns:
            The update that was not processed, if there is one.
        """
        with self._lock:
            update = active.update
            if active is not self._active:  # another thread has gone on
                return update
            self._active = ActivePrompts([])
            if update is None or not processed:
                return update
            if not update.is_array:
                self.add_points(update.objects)
            elif update.number > self._array_number:
                self.replace_boxes(update.objects if keep else (), update.number, has_stamp=True)
            return None

    # With the lock held ----------------------------------------------------------------------------

    def _ids(self, *, of_arrays: bool = True) -> set[int]:
        """Return the ids of all objects, or of those of clicks only."""
        return {item.identity for item in self._objects(of_arrays=of_arrays)}

    def _objects(self, *, of_arrays: bool = True) -> list[StoredPrompt]:
        """Return all objects, pending ones included, or those of clicks only."""
        updates = [item.update for item in self._pending.values()]
        if self._active.update is not None:
            updates.append(self._active.update)
        waiting = [item for update in updates if of_arrays or not update.is_array for item in update.objects]
        return [*self._clicks, *(self._array if of_arrays else ()), *waiting]

    def _pending_clicks(self) -> list[StoredPrompt]:
        updates = [item.update for item in self._pending.values() if not item.update.is_array]
        return [item for update in updates for item in update.objects]

    def _void_arrays(self, is_void: Callable[[PromptUpdate], bool]) -> None:
        """Remove pending arrays."""
        updates = [item.update for item in self._pending.values()]
        for update in updates:
            if update.is_array and is_void(update):
                del self._pending[update.number]

    def _remove_objects(self, is_removed: Callable[[StoredPrompt], bool]) -> None:
        """Remove objects everywhere; an array without objects stays an update, a click does not."""

        def kept(items: Iterable[StoredPrompt]) -> list[StoredPrompt]:
            return [item for item in items if not is_removed(item)]

        self._clicks, self._array = kept(self._clicks), kept(self._array)
        self._newest_array = tuple(kept(self._newest_array))
        for number, item in list(self._pending.items()):
            update = replace(item.update, objects=tuple(kept(item.update.objects)))
            self._pending[number] = replace(item, update=update)
            if not update.is_array and not update.objects:
                del self._pending[number]
        self._beside &= self._ids(of_arrays=False)
        active = self._active
        active.objects = kept(active.objects)
        if active.update is not None:
            active.update = replace(active.update, objects=tuple(kept(active.update.objects)))
