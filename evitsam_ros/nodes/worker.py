# SPDX-License-Identifier: Apache-2.0
"""One inference thread and a slot for the newest frame: nothing queues up, nothing grows.

The executor's thread only swaps the newest message in. A frame that is replaced before its turn is
counted as dropped, which is what keeps the answers fresh when the network is slower than the camera.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class NewestSlot(Generic[Item]):
    """A place for one item; a newer one takes the place of an older one.

    ``latest``: a worker that becomes free takes what is there. ``next``: it waits for the next one that
    comes, so that every answer starts from the youngest frame (at most one period old).
    """

    def __init__(self, policy: str = "latest") -> None:
        self.policy = policy
        self.dropped = 0
        self._item: Item | None = None
        self._changed = threading.Condition()
        self._closed = False

    def put(self, item: Item) -> None:
        with self._changed:
            if self._item is not None:
                self.dropped += 1
            self._item = item
            self._changed.notify()

    def take(self, timeout: float | None = None) -> Item | None:
        """The newest item, or None after ``timeout`` seconds or when closed."""
        with self._changed:
            if self.policy == "next" and self._item is not None:
                self.dropped += 1
                self._item = None
            self._changed.wait_for(lambda: self._item is not None or self._closed, timeout)
            item, self._item = self._item, None
            return None if self._closed else item

    def close(self) -> None:
        """Wake the worker up for the last time."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Worker(Generic[Item]):
    """Runs ``work`` on the newest item in a thread of its own; errors go to ``failed``, work goes on."""

    def __init__(
        self, work: Callable[[Item], None], failed: Callable[[Exception], None], policy: str
    ) -> None:
        self.slot: NewestSlot[Item] = NewestSlot(policy)
        self._work, self._failed = work, failed
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._stop = threading.Event()
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            item = self.slot.take()
            if item is None:
                continue
            try:
                self._work(item)
            except Exception as error:
                self._failed(error)

    def stop(self) -> None:
        """Finish the frame in work and end the thread."""
        self._stop.set()
        self.slot.close()
        self._thread.join(timeout=30)
