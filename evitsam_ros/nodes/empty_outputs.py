# SPDX-License-Identifier: Apache-2.0
"""Publish empty outputs if the last result is no longer valid: consumers keep the last message.

That is the case after a pause, in another mode (or with other classes), without new results, and at the
start, if consumers still have the results of an earlier node. Empty outputs have the header of the last
processed image. All but images are repeated a few times, and for every new subscriber.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

import rclpy
from std_msgs.msg import Header

from .continuity import UNUSUAL, WINDOW
from .diagnostics import HANGS

#: Repetitions for listeners that lost the first, and seconds between them.
REPEATS, EVERY = 3, 1.0
#: Seconds after which a result of another mode is replaced, unless the next image arrives before.
MODE_TIMEOUT = 2.0
#: Periods of ``max_rate_hz`` without an answer that are usual.
PERIODS = 2.0


#: What is needed to make empty outputs of an image: none of its masks, or its size.
Nothing = TypeVar("Nothing")
Emptied = TypeVar("Emptied", contravariant=True)


class Outputs(Protocol[Emptied]):
    """The publishers of one camera."""

    def subscriptions(self) -> int:
        """Return the number of subscriptions of all outputs that are no image."""

    def publish_empty(self, header: Header, nothing: Emptied | None, reason: str | None) -> None:
        """Publish that nothing is known.

        Args:
            header: of the last answered image.
            nothing: of that image; None where none was answered.
            reason: shown in the overlay; None: images are not published again.
        """

    def flush(self) -> None:
        """Wait until everything is published."""


class AnswerParameters(Protocol):
    """The parameters that decide how long an answer is true."""

    @property
    def output_timeout_s(self) -> float | None:
        """Return the seconds without an answer after which the last one is replaced; None: never."""

    @property
    def max_rate_hz(self) -> float | None:
        """Return the max number of answers per second; None for no limit."""

    @property
    def job(self) -> str:
        """Return what is answered, as ``the mode is prompt``."""


class EmptyOutputs(Generic[Nothing]):
    """Watch the answers of one camera.

    The executor's thread calls :meth:`clear`, :meth:`resume` and :meth:`tick`; the inference thread publishes
    within :meth:`work`, and with :attr:`lock` held.

    Args:
        parameters: returns the current parameters of the node.
        publishers: of the camera.
        on_empty: called with every empty output.

    Attributes:
        lock: held while something is published, so that no answer follows the empty outputs of a pause.
    """

    def __init__(
        self,
        parameters: Callable[[], AnswerParameters],
        publishers: Outputs[Nothing],
        on_empty: Callable[[], None] = lambda: None,
    ) -> None:
        self.lock = threading.Lock()
        self._parameters, self._publishers, self._on_empty = parameters, publishers, on_empty
        self._header = Header()
        #: Of the last answer; None before the first.
        self._nothing: Nothing | None = None
        self._job = ""
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

    def answered(self, header: Header, nothing: Nothing, job: str) -> None:
        """Note an answer that was published with the lock held.

        Args:
            header: of the image.
            nothing: what empty outputs of this image are made of.
            job: what was answered, see :class:`AnswerParameters`.
        """
        now = time.monotonic()
        if self._answered is not None and not self._reason:
            self._intervals.append(now - self._answered)
        self._header, self._job, self._answered = header, job, now
        self._nothing = nothing
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
        self._on_empty()
        try:
            self._subscriptions = self._publishers.subscriptions()
            self._publishers.publish_empty(self._header, self._nothing, None if repeated else reason)
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
        parameters, now = self._parameters(), time.monotonic()
        since, silent = self._work_since, now - self._answered
        if since is not None and now - since < HANGS:
            return ""  # an answer is about to come
        if parameters.job != self._job and silent > MODE_TIMEOUT:
            return f"{parameters.job} now"
        timeout = parameters.output_timeout_s
        if timeout is None:
            return ""
        if parameters.max_rate_hz is not None:
            timeout = max(timeout, PERIODS / parameters.max_rate_hz)
        if self._intervals:
            timeout = max(timeout, UNUSUAL * statistics.median(self._intervals))
        return f"no image was answered for {silent:.0f} s" if silent > timeout else ""
