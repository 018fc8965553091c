# SPDX-License-Identifier: Apache-2.0
"""One inference thread, and for every camera a place for its newest frame: nothing grows.

The executor's thread only swaps the newest frame in. A frame that is replaced before its turn is counted as
dropped, which is what keeps the answers fresh when the network is slower than the cameras. Frames that
somebody asks about by their stamps wait in a short queue instead, and go first.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")

#: Frames of one camera that somebody asked about and that wait for their turn, at most.
MOST_ASKED = 32


class Turns(Generic[Item]):
    """Whose frame is next: the cameras take turns, whatever their rates.

    ``latest``: a worker that becomes free takes what is there. ``next``: it waits for a frame that comes
    after that, so that every answer starts from the youngest one (at most one period old).

    Attributes:
        dropped: frames of each camera that a newer one replaced.
    """

    def __init__(self, cameras: int = 1, policy: str = "latest") -> None:
        self.policy = policy
        self.dropped = [0] * cameras
        self._newest: list[Item | None] = [None] * cameras
        self._asked: list[deque[tuple[Item, bool]]] = [deque() for _ in range(cameras)]
        self._last = cameras - 1
        self._changed = threading.Condition()
        self._closed = False

    def put(self, item: Item, camera: int = 0) -> None:
        """The camera's newest frame."""
        with self._changed:
            if self._newest[camera] is not None:
                self.dropped[camera] += 1
            self._newest[camera] = item
            self._changed.notify()

    def ask(self, item: Item, camera: int = 0, replaces: bool = False) -> bool:
        """A frame that has to be answered; False when too many wait already.

        Args:
            replaces: earlier ones that were asked with this, and have not been answered, are void. So the
                frames of a detector that is faster than the network do not pile up.
        """
        with self._changed:
            if replaces:
                asked = self._asked[camera]
                kept = [entry for entry in asked if not entry[1]]
                self.dropped[camera] += len(asked) - len(kept)
                self._asked[camera] = deque(kept)
            if len(self._asked[camera]) >= MOST_ASKED:
                return False
            self._asked[camera].append((item, replaces))
            self._changed.notify()
            return True

    def take(self, timeout: float | None = None) -> tuple[int, Item] | None:
        """The camera whose turn it is and its frame; None after ``timeout`` seconds or when closed."""
        with self._changed:
            if self.policy == "next":
                for camera, item in enumerate(self._newest):
                    self.dropped[camera] += item is not None
                    self._newest[camera] = None
            self._changed.wait_for(lambda: self._closed or self._whose() is not None, timeout)
            camera = self._whose()
            if self._closed or camera is None:
                return None
            self._last = camera
            return camera, self._pop(camera)

    def others(self, most: int) -> list[tuple[int, Item]]:
        """Frames of other cameras that wait too, one each and in their order; it does not wait for any."""
        with self._changed:
            first, found = self._last, []
            while len(found) < most and (camera := self._whose()) is not None:
                if camera == first or any(camera == other for other, _ in found):
                    break
                self._last = camera
                found.append((camera, self._pop(camera)))
            return found

    def close(self) -> None:
        """Wake the worker up for the last time."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _pop(self, camera: int) -> Item:
        if self._asked[camera]:
            return self._asked[camera].popleft()[0]
        item, self._newest[camera] = self._newest[camera], None
        return item

    def _whose(self) -> int | None:
        """The first camera after the last one served that has something."""
        cameras = len(self._newest)
        for camera in ((self._last + step) % cameras for step in range(1, cameras + 1)):
            if self._asked[camera] or self._newest[camera] is not None:
                return camera
        return None


class Worker(Generic[Item]):
    """Runs ``work(camera, item)`` in a thread of its own; errors go to ``failed``, work goes on.

    ``together``: what several cameras' frames have in common, done before the work on each of them; and
    ``most``: how many frames that takes at a time, now.
    """

    def __init__(
        self,
        turns: Turns[Item],
        work: Callable[[int, Item], None],
        failed: Callable[[int, Exception], None],
        together: Callable[[list[tuple[int, Item]]], None] = lambda turns: None,
        most: Callable[[], int] = lambda: 1,
    ) -> None:
        self.turns = turns
        self._work, self._failed = work, failed
        self._together, self._most = together, most
        self._since: float | None = None
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._thread.start()

    @property
    def busy_for(self) -> float:
        """Seconds since the frame in work was begun; 0 when there is none."""
        since = self._since
        return time.monotonic() - since if since is not None else 0.0

    def _run(self) -> None:
        while (turn := self.turns.take()) is not None:
            self._since = time.monotonic()
            taken = [turn, *self.turns.others(self._most() - 1)]
            if len(taken) > 1:
                self._guarded(turn[0], lambda taken=taken: self._together(taken))
            for camera, item in taken:
                self._since = time.monotonic()
                self._guarded(camera, lambda camera=camera, item=item: self._work(camera, item))
            self._since = None

    def _guarded(self, camera: int, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self._failed(camera, error)

    def stop(self) -> bool:
        """Finish the frame in work and end the thread; False where it hangs."""
        self.turns.close()
        self._thread.join(timeout=30)
        return not self._thread.is_alive()
