# SPDX-License-Identifier: Apache-2.0
"""What the node tells about itself on /diagnostics (REP 107)."""

from __future__ import annotations

import statistics
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

WINDOW = 100


class Health:
    """Counts and timings, written by two threads and read by the diagnostics timer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self._stages: dict[str, deque[float]] = {}
        self._outputs: deque[float] = deque(maxlen=WINDOW)
        self._inputs: deque[float] = deque(maxlen=WINDOW)
        self._last_error = ""
        self._error_time = 0.0
        self._notes: dict[str, str] = {}

    def count(self, name: str, by: int = 1) -> None:
        with self._lock:
            self.counts[name] += by

    def note(self, name: str, values: Iterable[object]) -> None:
        """A value that is told as it is: ``values`` with commas between."""
        with self._lock:
            self._notes[name] = ", ".join(map(str, values))

    def frame_in(self) -> None:
        with self._lock:
            self.counts["frames_in"] += 1
            self._inputs.append(time.monotonic())

    def frame_out(self, stages: dict[str, float]) -> None:
        """A frame was answered; ``stages`` holds seconds by stage."""
        with self._lock:
            self.counts["frames_out"] += 1
            self._outputs.append(time.monotonic())
            for name, seconds in stages.items():
                self._stages.setdefault(name, deque(maxlen=WINDOW)).append(seconds)

    def forget_timings(self) -> None:
        """Start the medians anew: what follows is another kind of work."""
        with self._lock:
            self._stages.clear()

    def error(self, reason: str, text: str) -> None:
        """Something was refused; ``reason`` is the counter, ``text`` what the log says too."""
        with self._lock:
            self.counts[reason] += 1
            self._last_error = text
            self._error_time = time.monotonic()

    def message(self, node_name: str, stamp, backend: str, dropped: int, state: str) -> DiagnosticArray:
        """The status as a message: WARN while the last error is younger than five seconds."""
        with self._lock:
            recent = self._last_error and time.monotonic() - self._error_time < 5.0
            values = {"state": state, "backend": backend, "frames_dropped": str(dropped)}
            values |= {name: str(count) for name, count in sorted(self.counts.items())} | self._notes
            values["rate_in_hz"] = f"{_rate(self._inputs):.2f}"
            values["rate_out_hz"] = f"{_rate(self._outputs):.2f}"
            for name, seconds in self._stages.items():
                values[f"latency_{name}_ms"] = f"{statistics.median(seconds) * 1e3:.2f}"
            values["last_error"] = self._last_error
        status = DiagnosticStatus(name=f"{node_name}: segmentation", hardware_id=node_name)
        status.level = DiagnosticStatus.WARN if recent else DiagnosticStatus.OK
        status.message = values["last_error"] if recent else state
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        message = DiagnosticArray(status=[status])
        message.header.stamp = stamp
        return message


def _rate(times: deque[float]) -> float:
    """Events a second over the last five seconds."""
    now = time.monotonic()
    recent = [t for t in times if now - t < 5.0]
    return (len(recent) - 1) / max(now - recent[0], 1e-6) if len(recent) > 1 else 0.0
