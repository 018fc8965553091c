# SPDX-License-Identifier: Apache-2.0
"""Choose the next frame among the cameras: the newest of each, and a short queue of prompted ones.

The executor's thread replaces the newest frame. A frame that is replaced before its turn counts as dropped,
so masks stay fresh when the network is slower than the cameras. Frames that a prompt refers to by its stamp
wait in a bounded queue instead and go first.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar, cast

Item = TypeVar("Item")

#: Largest number of frames of one camera that wait for their turn because a prompt refers to them.
MAX_PROMPTED_REQUESTS = 32


class FrameScheduler(Generic[Item]):
    """Serve the cameras in turn, at any rates.

    With the policy ``latest`` a free thread takes the newest frame at once. With ``next`` it waits for a
    newer frame of the cameras that it has just served, so that each frame is no older than one period when
    its processing starts. The frames of other cameras stay.

    Args:
        cameras: number of cameras.
        policy: ``latest`` or ``next``.

    Attributes:
        dropped: number of frames of each camera that were replaced or withdrawn.
    """

    def __init__(self, cameras: int = 1, policy: str = "latest") -> None:
        self.policy = policy
        self.dropped = [0] * cameras
        self._newest: list[Item | None] = [None] * cameras
        self._prompted: list[deque[Item]] = [deque() for _ in range(cameras)]
        #: Until when a camera's prompted frames wait, by the monotonic clock.
        self._held_until = [0.0] * cameras
        #: Cameras of the batch taken last; initially all, as no thread is free yet.
        self._served: set[int] = set(range(cameras))
        self._last = cameras - 1
        self._changed = threading.Condition()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Return whether :meth:`close` was called."""
        return self._closed

    def put_latest(self, item: Item, camera: int = 0) -> None:
        """Replace the camera's newest frame."""
        with self._changed:
            if self._newest[camera] is not None:
                self.dropped[camera] += 1
            self._newest[camera] = item
            self._changed.notify()

    def submit_request(self, item: Item, camera: int = 0) -> bool:
        """Queue a frame that has to be processed; return False when too many wait."""
        with self._changed:
            if len(self._prompted[camera]) >= MAX_PROMPTED_REQUESTS:
                return False
            self._prompted[camera].append(item)
            self._changed.notify()
            return True

    def withdraw(self, camera: int, is_void: Callable[[Item], bool]) -> None:
        """Remove waiting frames of a camera; they count as dropped."""
        with self._changed:
            prompted = self._prompted[camera]
            kept = deque(item for item in prompted if not is_void(item))
            self.dropped[camera] += len(prompted) - len(kept)
            self._prompted[camera] = kept
            newest = self._newest[camera]
            if newest is not None and is_void(newest):
                self._newest[camera] = None
                self.dropped[camera] += 1

    def hold(self, camera: int, seconds: float) -> None:
        """Let the prompted frames of a camera wait for so long."""
        with self._changed:
            self._held_until[camera] = time.monotonic() + seconds

    def take(self, timeout: float | None = None) -> tuple[int, Item] | None:
        """Wait for a frame; return its camera and itself, None after ``timeout`` seconds or when closed."""
        with self._changed:
            if self.policy == "next":
                self._drop_newest(self._served)
            self._served = set()
            camera = self._wait(timeout)
            if self._closed or camera is None:
                return None
            self._last = camera
            return camera, self._pop(camera)

    def take_batch(self, max_frames: int) -> list[tuple[int, Item]]:
        """Return frames of other cameras that wait beside the one taken last, one each, without waiting."""
        with self._changed:
            first = self._last
            found: list[tuple[int, Item]] = []
            while len(found) < max_frames and (camera := self._next_camera()) is not None:
                if camera == first or any(camera == other for other, _ in found):
                    break
                self._last = camera
                found.append((camera, self._pop(camera)))
            return found

    def close(self) -> None:
        """Wake the waiting thread for the last time."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _wait(self, timeout: float | None) -> int | None:
        """Wait for the next camera; None after ``timeout`` seconds or when closed."""
        end = time.monotonic() + timeout if timeout is not None else float("inf")
        while not self._closed and (camera := self._next_camera()) is None:
            held = (
                until for until, prompted in zip(self._held_until, self._prompted, strict=True) if prompted
            )
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
        if self._has_prompted(camera):
            return self._prompted[camera].popleft()
        item, self._newest[camera] = self._newest[camera], None
        self._served.add(camera)
        return cast("Item", item)

    def _has_prompted(self, camera: int) -> bool:
        return bool(self._prompted[camera]) and time.monotonic() >= self._held_until[camera]

    def _next_camera(self) -> int | None:
        """Return the first camera after the one served last that has a frame."""
        cameras = len(self._newest)
        for camera in ((self._last + step) % cameras for step in range(1, cameras + 1)):
            if self._has_prompted(camera) or self._newest[camera] is not None:
                return camera
        return None
