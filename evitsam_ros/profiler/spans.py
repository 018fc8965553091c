# SPDX-License-Identifier: Apache-2.0
"""Record spans of work: nested ones of the host's monotonic clock, and those of a device's own clock."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOST, DEVICE = "host", "device"


@dataclass
class Span:
    """One block of work.

    Attributes:
        name: of the stage.
        start: nanoseconds of the monotonic clock.
        end: nanoseconds of the monotonic clock.
        inner: nanoseconds of this span that belong to nested spans.
        clock: ``host``, or ``device`` for a device's events.
        run: number of its run.
    """

    name: str
    start: int
    end: int = 0
    inner: int = 0
    clock: str = HOST
    run: int = 0

    @property
    def own(self) -> int:
        """Return the nanoseconds without those of nested spans."""
        return self.end - self.start - self.inner


@dataclass
class Recorder:
    """Keep the spans of a run in the order in which they end.

    Attributes:
        spans: all finished spans.
        run: number for new spans.
        clock: monotonic, in nanoseconds.
    """

    spans: list[Span] = field(default_factory=list)
    run: int = 0
    clock: Callable[[], int] = time.perf_counter_ns
    _open: list[Span] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Record the block as a span; nested blocks are spans of their own."""
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
        """Return the name of the innermost open span; empty without one."""
        return self._open[-1].name if self._open else ""

    def on_device(self, name: str, start: int, end: int) -> None:
        """Record a span of a device's clock, in nanoseconds of the monotonic clock."""
        self.spans.append(Span(name, start, end, clock=DEVICE, run=self.run))


def samples_of(spans: list[Span], runs: int, *, own: bool = True) -> dict[tuple[str, str], list[float]]:
    """Return the milliseconds of each (name, clock) in each run, summed over its spans; 0 without any.

    Args:
        spans: of all runs.
        runs: number of runs, numbered from 0.
        own: exclude nested spans.
    """
    samples: dict[tuple[str, str], list[float]] = {}
    for span in sorted(spans, key=lambda span: span.start):
        values = samples.setdefault((span.name, span.clock), [0.0] * runs)
        values[span.run] += (span.own if own else span.end - span.start) / 1e6
    return samples
