# SPDX-License-Identifier: Apache-2.0
"""Time the work of the GPU by CUDA events on its stream."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .tensorrt.cuda_calls import Cuda


@dataclass(frozen=True)
class DeviceSpan:
    """Work of the device: ``start`` and ``end`` in nanoseconds of the host's monotonic clock."""

    name: str
    start: int
    end: int


class DeviceClock:
    """Record spans of a stream; each queues two events and does not wait.

    Durations are the device's own. Their offset on the host's clock is known to some ten microseconds, the
    delay of noticing the first event.
    """

    def __init__(self, cuda: Cuda, stream: int) -> None:
        self.cuda, self.stream = cuda, stream
        self.free: list[Any] = []
        self.taken: list[tuple[str, Any, Any]] = []
        self.origin = self._mark()
        cuda.wait(stream)
        self.origin_ns = time.perf_counter_ns()

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        """Time the work that the block queues."""
        start = self._mark()
        yield
        self.taken.append((name, start, self._mark()))

    def take(self) -> list[DeviceSpan]:
        """Return the spans since the last call, in order; wait until the stream is done."""
        self.cuda.wait(self.stream)
        found = []
        for name, start, end in self.taken:
            begun = self.origin_ns + round(self.cuda.elapsed_ms(self.origin, start) * 1e6)
            found.append(DeviceSpan(name, begun, begun + round(self.cuda.elapsed_ms(start, end) * 1e6)))
            self.free += [start, end]
        self.taken = []
        return found

    def close(self) -> None:
        """Give the events back; no span can be recorded any more."""
        events = [self.origin, *self.free, *(event for _, *pair in self.taken for event in pair)]
        self.free, self.taken = [], []
        for event in events:
            self.cuda.drop_event(event)

    def _mark(self) -> Any:
        event = self.free.pop() if self.free else self.cuda.event()
        self.cuda.mark(event, self.stream)
        return event
