# SPDX-License-Identifier: Apache-2.0
"""Write spans as a trace for ui.perfetto.dev and chrome://tracing (trace event format, complete events)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .spans import DEVICE, HOST, Span

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .report import Report

PROCESS = 1
#: Rows of the trace by clock.
THREADS = {HOST: 1, DEVICE: 2}


def trace_events(spans: Sequence[Span], report: Report) -> dict[str, Any]:
    """Return the trace; times in microseconds from the first span on, with runs and images as arguments."""
    first = min((span.start for span in spans), default=0)
    names = {span.clock for span in spans}
    events = [_metadata("process_name", 0, f"evitsam profile, {report.model['name']}")]
    events += [_metadata("thread_name", THREADS[clock], clock) for clock in THREADS if clock in names]
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        events.append(
            {
                "name": span.name,
                "cat": span.clock,
                "ph": "X",
                "ts": (span.start - first) / 1e3,
                "dur": (span.end - span.start) / 1e3,
                "pid": PROCESS,
                "tid": THREADS[span.clock],
                "args": {"run": span.run, "picture": report.runs[span.run].image},
            }
        )
    about = {"command": report.command, "date": report.date}
    return {"traceEvents": events, "displayTimeUnit": "ms", "otherData": about}


def _metadata(kind: str, thread: int, name: str) -> dict[str, Any]:
    return {"name": kind, "ph": "M", "pid": PROCESS, "tid": thread, "args": {"name": name}}


def write_trace(spans: Sequence[Span], report: Report, path: Path) -> None:
    """Write a trace.

    Raises:
        ValueError: the file cannot be written.
    """
    try:
        path.write_text(json.dumps(trace_events(spans, report)))
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error}") from error
