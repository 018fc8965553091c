# SPDX-License-Identifier: Apache-2.0
"""The thread that processes frames: it takes them from the scheduler, prepares and processes them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from ..threads import join_os_thread
from .frame_scheduler import FrameScheduler

Item = TypeVar("Item")
Prepared = TypeVar("Prepared")
#: Cameras and their frames, one each.
Batch = list[tuple[int, Item]]


class InferenceThread(Generic[Item, Prepared]):
    """Run ``process(camera, item, prepared)`` for every frame, in a thread that continues after errors.

    Args:
        scheduler: queue of frames.
        process: called for each frame with its camera, the frame, and its prepared data or None.
        on_error: called with the camera and the exception of a failed call.
        prepare_batch: called once for frames of several cameras before they are processed; returns the
            prepared data of each.
        max_batch_size: returns the max number of frames of ``prepare_batch``.
    """

    def __init__(
        self,
        scheduler: FrameScheduler[Item],
        process: Callable[[int, Item, Prepared | None], None],
        on_error: Callable[[int, Exception], None],
        prepare_batch: Callable[[Batch], list[Prepared | None]] = lambda batch: [None] * len(batch),
        max_batch_size: Callable[[], int] = lambda: 1,
    ) -> None:
        self.scheduler = scheduler
        self._process, self._on_error = process, on_error
        self._prepare_batch, self._max_batch_size = prepare_batch, max_batch_size
        self._busy_since = float("inf")
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._thread.start()

    @property
    def busy_for(self) -> float:
        """Return the seconds since the work on the current frame began; 0 when there is none."""
        return max(0.0, time.monotonic() - self._busy_since)

    def stop(self, seconds: float = 30.0) -> bool:
        """Finish the frame in work and end the thread; return whether it ended within ``seconds``.

        A thread that did not ends after its frame; its errors are not reported any more.
        """
        self.scheduler.close()
        if not join_os_thread(self._thread, seconds):
            return False
        # The owner of the callbacks holds this object: in a cycle, networks would wait for the collector.
        del self._process, self._on_error, self._prepare_batch, self._max_batch_size
        return True

    def _run(self) -> None:
        while (first := self.scheduler.take()) is not None:
            self._busy_since = time.monotonic()
            self._process_batch([first, *self.scheduler.take_batch(self._max_batch_size() - 1)])
            self._busy_since = float("inf")

    def _process_batch(self, batch: Batch) -> None:
        for (camera, item), prepared in zip(batch, self._prepared(batch), strict=True):
            if self.scheduler.closed:
                return
            self._busy_since = time.monotonic()
            try:
                self._process(camera, item, prepared)
            except Exception as error:
                self._report(camera, error)

    def _prepared(self, batch: Batch) -> list[Prepared | None]:
        """Return the prepared data of each frame; None for a single one, or after a failure."""
        if len(batch) > 1:
            try:
                return self._prepare_batch(batch)
            except Exception as error:
                self._report(batch[0][0], error)
        return [None] * len(batch)

    def _report(self, camera: int, error: Exception) -> None:
        if not self.scheduler.closed:
            self._on_error(camera, error)
