# SPDX-License-Identifier: Apache-2.0
"""What was done when: nested spans of the host's monotonic clock, and spans of a device's own clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

HOST, DEVICE = "host", "device"


@dataclass
class Span:
    """One block of work.

    Attributes:
        name: of the stage.
        start, end: nanoseconds of the monotonic clock.
        inner: nanoseconds of this span that belong to spans within it.
        clock: ``host``, or ``device`` for what a device's events tell.
        run: number of the run that it belongs to.
    """

    name: str
    start: int
    end: int = 0
    inner: int = 0
    clock: str = HOST
    run: int = 0

    @property
    def own(self) -> int:
        """Nanoseconds without those of the spans within."""
        return self.end - self.start - self.inner


@dataclass
class Recorder:
    """Keeps the spans of a run in the order in which they end.

    Attributes:
        spans: all that have ended.
        run: number that new spans get.
        clock: monotonic, in nanoseconds.
    """

    spans: list[Span] = field(default_factory=list)
    run: int = 0
    clock: Callable[[], int] = time.perf_counter_ns
    _open: list[Span] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Record the block as a span; blocks within it are spans of their own."""
        span = Span(name, self.clock(), run=self.run)
        self._open.append(span)
        try:
            yield
        finally:
            span.end = self.clock()
            self._open.pop()
            if self._open:
                self._open[-1].inner += span.end - span.start
            self.spans.append(span)

    @property
    def stage_now(self) -> str:
        """The innermost open span's name; empty outside of any."""
        return self._open[-1].name if self._open else ""

    def on_device(self, name: str, start: int, end: int) -> None:
        """Record what a device's clock told, in nanoseconds of the monotonic clock."""
        self.spans.append(Span(name, start, end, clock=DEVICE, run=self.run))


def samples_of(spans: list[Span], runs: int, own: bool = True) -> dict[tuple[str, str], list[float]]:
    """Milliseconds of each (name, clock) in each run, summed over its spans; 0 in runs without any.

    Args:
        spans: of all runs.
        runs: how many there were, numbered from 0.
        own: without what lies within them.
    """
    samples: dict[tuple[str, str], list[float]] = {}
    for span in sorted(spans, key=lambda span: span.start):
        values = samples.setdefault((span.name, span.clock), [0.0] * runs)
        values[span.run] += (span.own if own else span.end - span.start) / 1e6
    return samples
