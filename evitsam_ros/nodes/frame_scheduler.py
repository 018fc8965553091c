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
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item")

#: Frames of one camera that somebody asked about and that wait for their turn, at most.
MAX_PROMPTED_REQUESTS = 32


class FrameScheduler(Generic[Item]):
    """Whose frame is next: the cameras take turns, whatever their rates.

    ``latest``: a worker that becomes free takes what is there. ``next``: of the cameras whose frames it has
    just answered it waits for a newer one, so that every answer starts from a young frame (at most one period
    old). The frames of other cameras stay.

    Attributes:
        dropped: frames of each camera that a newer one replaced, or that lost their turn.
    """

    def __init__(self, cameras: int = 1, policy: str = "latest") -> None:
        self.policy = policy
        self.dropped = [0] * cameras
        self._newest: list[Item | None] = [None] * cameras
        self._asked: list[deque[Item]] = [deque() for _ in range(cameras)]
        #: Until when a camera's asked frames wait, by the monotonic clock.
        self._held = [0.0] * cameras
        #: Cameras whose newest frames were handed out last; at first the worker is not free for any.
        self._served: set[int] = set(range(cameras))
        self._last = cameras - 1
        self._changed = threading.Condition()
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def put(self, item: Item, camera: int = 0) -> None:
        """The camera's newest frame."""
        with self._changed:
            if self._newest[camera] is not None:
                self.dropped[camera] += 1
            self._newest[camera] = item
            self._changed.notify()

    def ask(self, item: Item, camera: int = 0) -> bool:
        """A frame that has to be answered; False when too many wait already."""
        with self._changed:
            if len(self._asked[camera]) >= MAX_PROMPTED_REQUESTS:
                return False
            self._asked[camera].append(item)
            self._changed.notify()
            return True

    def withdraw(self, camera: int, which: Callable[[Item], bool]) -> None:
        """Frames of a camera that ``which`` names lose their turn; they count as dropped."""
        with self._changed:
            asked = self._asked[camera]
            kept = deque(item for item in asked if not which(item))
            self.dropped[camera] += len(asked) - len(kept)
            self._asked[camera] = kept
            newest = self._newest[camera]
            if newest is not None and which(newest):
                self._newest[camera] = None
                self.dropped[camera] += 1

    def hold(self, camera: int, seconds: float) -> None:
        """Frames of a camera that were asked about wait for so long."""
        with self._changed:
            self._held[camera] = time.monotonic() + seconds

    def take(self, timeout: float | None = None) -> tuple[int, Item] | None:
        """The camera whose turn it is and its frame; None after ``timeout`` seconds or when closed."""
        with self._changed:
            if self.policy == "next":
                self._drop_newest(self._served)
            self._served = set()
            camera = self._wait(timeout)
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

    def _wait(self, timeout: float | None) -> int | None:
        """The camera whose turn it is; None after ``timeout`` seconds or when closed."""
        end = time.monotonic() + timeout if timeout is not None else float("inf")
        while not self._closed and (camera := self._whose()) is None:
            held = (until for until, asked in zip(self._held, self._asked, strict=True) if asked)
            left = min([end, *held]) - time.monotonic()
            if left <= 0 and time.monotonic() >= end:
                return None
            self._changed.wait(max(left, 0.0) if left < float("inf") else None)
        return None if self._closed else camera

    def _drop_newest(self, cameras: Iterable[int]) -> None:
        for camera in cameras:
            self.dropped[camera] += self._newest[camera] is not None
            self._newest[camera] = None

    def _pop(self, camera: int) -> Item:
        if self._may_be_asked(camera):
            return self._asked[camera].popleft()
        item, self._newest[camera] = self._newest[camera], None
        self._served.add(camera)
        return item

    def _may_be_asked(self, camera: int) -> bool:
        return bool(self._asked[camera]) and time.monotonic() >= self._held[camera]

    def _whose(self) -> int | None:
        """The first camera after the last one served that has something."""
        cameras = len(self._newest)
        for camera in ((self._last + step) % cameras for step in range(1, cameras + 1)):
            if self._may_be_asked(camera) or self._newest[camera] is not None:
                return camera
        return None


class InferenceThread(Generic[Item]):
    """Runs ``work(camera, item)`` in a thread of its own; errors go to ``failed``, work goes on.

    ``together``: what several cameras' frames have in common, done before the work on each of them; and
    ``most``: how many frames that takes at a time, now.
    """

    def __init__(
        self,
        turns: FrameScheduler[Item],
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
                if self.turns.closed:
                    return
                self._since = time.monotonic()
                self._guarded(camera, lambda camera=camera, item=item: self._work(camera, item))
            self._since = None

    def _guarded(self, camera: int, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            if not self.turns.closed:
                self._failed(camera, error)

    def stop(self, seconds: float = 30.0) -> bool:
        """Finish the frame in work and end the thread; whether it has ended within ``seconds``.

        A thread that has not ends after its frame; what goes wrong with that is not reported any more.
        """
        self.turns.close()
        self._thread.join(timeout=seconds)
        if self._thread.is_alive():
            return False
        # Whoever made the callbacks holds this worker: as a cycle, networks would wait for the collector.
        del self._work, self._failed, self._together, self._most
        return True
