# SPDX-License-Identifier: Apache-2.0
"""Publish empty outputs if the last result is no longer valid: consumers keep the last message.

That is the case after a pause, in another mode, without new results, and at the start, if consumers still
have the results of an earlier node. Empty outputs have the header of the last processed image. All but images
are repeated a few times, and for every new subscriber.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import rclpy
from std_msgs.msg import Header

from ..segment import Masks
from .camera_context import CameraContext
from .continuity import UNUSUAL, WINDOW
from .diagnostics import HANGS
from .object_clicks import ShownObjects
from .publishers import Publishers

#: Repetitions for listeners that lost the first, and seconds between them.
REPEATS, EVERY = 3, 1.0
#: Seconds after which a result of another mode is replaced, unless the next image arrives before.
MODE_TIMEOUT = 2.0
#: Periods of ``max_rate_hz`` without an answer that are usual.
PERIODS = 2.0


class EmptyOutputs:
    """Watch the answers of one camera.

    The executor's thread calls :meth:`clear`, :meth:`resume` and :meth:`tick`; the inference thread publishes
    within :meth:`work`, and with :attr:`lock` held.

    Args:
        context: of the camera.
        publishers: of the camera.
        shown: forgotten with every empty output.

    Attributes:
        lock: held while something is published, so that no answer follows the empty outputs of a pause.
    """

    def __init__(self, context: CameraContext, publishers: Publishers, shown: ShownObjects) -> None:
        self.lock = threading.Lock()
        self._context, self._publishers, self._shown = context, publishers, shown
        self._header = Header()
        #: None of the masks of the last answer; None before the first.
        self._no_masks: Masks | None = None
        self._mode = ""
        self._intervals: deque[float] = deque(maxlen=WINDOW)
        self._answered: float | None = None
        self._work_since: float | None = None
        #: Reason of an invalid result; empty while the last result is valid.
        self._reason = ""
        self._repeats, self._next, self._subscriptions = 0, 0.0, 0

    # Inference thread ------------------------------------------------------------------------------

    @contextmanager
    def work(self) -> Iterator[None]:
        """Mark an image as in process: its result will follow."""
        self._work_since = time.monotonic()
        try:
            yield
        finally:
            self._work_since = None

    def answered(self, header: Header, masks: Masks, mode: str) -> None:
        """Note an answer that was published with the lock held.

        Args:
            header: of the image.
            masks: of the image.
            mode: in which it was answered.
        """
        now = time.monotonic()
        if self._answered is not None and not self._reason:
            self._intervals.append(now - self._answered)
        self._header, self._mode, self._answered = header, mode, now
        self._no_masks = masks.select(np.zeros(0, int))
        self._reason = ""

    # Executor's thread -----------------------------------------------------------------------------

    def clear(self, reason: str) -> None:
        """Publish empty outputs now, after a frame that is being published."""
        with self.lock:
            self._publish(reason)
        self._publishers.flush()

    def resume(self) -> None:
        """Repeat the empty outputs until an image is answered: publishers were inactive."""
        with self.lock:
            self._reason = self._reason or "no image was answered yet"
            self._repeats, self._next = REPEATS, 0.0

    def tick(self) -> None:
        """Publish empty outputs where they are due; called several times a second."""
        if not self.lock.acquire(blocking=False):
            return  # an answer is being published
        try:
            reason = self._outdated()
            if reason:
                self._publish(reason)
            elif self._reason and self._is_repeat_due():
                self._publish(self._reason, self._repeats - 1, repeated=True)
        finally:
            self.lock.release()

    # With the lock held ----------------------------------------------------------------------------

    def _publish(self, reason: str, repeats: int = REPEATS, *, repeated: bool = False) -> None:
        self._reason, self._repeats = reason, max(0, repeats)
        self._next = time.monotonic() + EVERY
        self._shown.clear()
        try:
            self._subscriptions = self._publishers.subscriptions()
            self._publishers.publish_empty(self._header, self._no_masks, None if repeated else reason)
        except Exception:
            if rclpy.ok():  # after Ctrl-C publishing is impossible
                raise

    def _is_repeat_due(self) -> bool:
        before, self._subscriptions = self._subscriptions, self._publishers.subscriptions()
        return self._subscriptions > before or (self._repeats > 0 and time.monotonic() >= self._next)

    def _outdated(self) -> str:
        """Return why the last answer is no longer true; empty where it is, or was replaced already."""
        if self._reason or self._answered is None:
            return ""
        parameters, now = self._context.parameters(), time.monotonic()
        since, silent = self._work_since, now - self._answered
        if since is not None and now - since < HANGS:
            return ""  # an answer is about to come
        if parameters.mode != self._mode and silent > MODE_TIMEOUT:
            return f"the mode is {parameters.mode} now"
        timeout = parameters.output_timeout_s
        if timeout is None:
            return ""
        if parameters.max_rate_hz is not None:
            timeout = max(timeout, PERIODS / parameters.max_rate_hz)
        if self._intervals:
            timeout = max(timeout, UNUSUAL * statistics.median(self._intervals))
        return f"no image was answered for {silent:.0f} s" if silent > timeout else ""
