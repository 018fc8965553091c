# SPDX-License-Identifier: Apache-2.0
"""When the GPU did what, by CUDA events on the stream that the work was queued on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .tensorrt.cuda_calls import Cuda


@dataclass(frozen=True)
class DeviceSpan:
    """Work of the device: ``start`` and ``end`` in nanoseconds of the host's monotonic clock."""

    name: str
    start: int
    end: int


class DeviceClock:
    """Spans of a stream; recording one queues two events and waits for nothing.

    Durations are the device's own. Where they lie on the host's clock is known to some ten microseconds: as
    long as it takes to notice that the first event is over.
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
        """Time what the block queues."""
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
