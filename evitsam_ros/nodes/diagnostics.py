# SPDX-License-Identifier: Apache-2.0
"""Counters and timings of a camera, for /diagnostics (REP 107)."""

from __future__ import annotations

import statistics
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

#: Number of values in the medians.
WINDOW = 100
#: Seconds for which an error is published as a warning.
RECENT = 5.0
#: Seconds on one frame after which the inference thread counts as hanging.
HANGS = 10.0


class CameraDiagnostics:
    """Collect counters and timings of a camera. Two threads write them, the diagnostics timer reads them.

    Args:
        camera: its name; empty for the only one.
    """

    def __init__(self, camera: str = "") -> None:
        self.camera = camera
        self._lock = threading.Lock()
        self._ages: deque[float] = deque(maxlen=WINDOW)
        self._warnings: dict[str, tuple[float, str]] = {}
        self._beats = 0
        self.counts: Counter[str] = Counter()
        self._stages: dict[str, deque[float]] = {}
        self._outputs: deque[float] = deque(maxlen=WINDOW)
        self._inputs: deque[float] = deque(maxlen=WINDOW)
        self._last_error = ""
        self._error_time = 0.0
        self._notes: dict[str, str] = {}

    def count(self, name: str, by: int = 1) -> None:
        """Increment a counter."""
        with self._lock:
            self.counts[name] += by

    def note(self, name: str, values: Iterable[object]) -> None:
        """Publish ``values`` as they are, with commas between them."""
        with self._lock:
            self._notes[name] = ", ".join(map(str, values))

    def frame_in(self) -> None:
        """Count a frame that has arrived."""
        with self._lock:
            self.counts["frames_in"] += 1
            self._inputs.append(time.monotonic())

    def frame_out(self, stages: dict[str, float], age: float = 0.0, max_age: float | None = None) -> None:
        """Count a frame with published masks.

        Args:
            stages: seconds by stage.
            age: seconds since the stamp of the frame.
            max_age: age above which masks come too late; None: never.
        """
        with self._lock:
            self._ages.append(age)
            if max_age is not None and age > max_age:
                self.counts["outputs_older_than_max_age"] += 1
                self._warn("max_age", "masks come later than max_latency_s after their images")
            self.counts["frames_out"] += 1
            self._outputs.append(time.monotonic())
            for name, seconds in stages.items():
                self._stages.setdefault(name, deque(maxlen=WINDOW)).append(seconds)

    def forget_timings(self) -> None:
        """Reset the medians: the next frames are another kind of work."""
        with self._lock:
            self._stages.clear()

    def warn(self, kind: str, text: str) -> None:
        """Publish a warning for some seconds; repeated calls keep it. It is not counted."""
        with self._lock:
            self._warn(kind, text)

    def _warn(self, kind: str, text: str) -> None:
        self._warnings[kind] = time.monotonic(), text

    def error(self, kind: str, text: str) -> None:
        """Count an error; ``kind`` is the counter, ``text`` the last error."""
        with self._lock:
            self.counts[kind] += 1
            self._last_error = text
            self._error_time = time.monotonic()

    def status(self, node_name: str, backend: str, dropped: int, state: str, busy: float) -> DiagnosticStatus:
        """Return the status: WARN while the last error or a warning is younger than five seconds.

        Args:
            node_name: fully qualified.
            backend: which runtime runs, and why.
            dropped: number of frames that were replaced or withdrawn.
            state: of the node.
            busy: seconds that the inference thread has spent on its frame; ERROR when it hangs.
        """
        with self._lock:
            now = time.monotonic()
            entries = [(self._error_time, self._last_error), *self._warnings.values()]
            warnings = [text for when, text in entries if text and now - when < RECENT]
            self._beats += 1
            values = {"state": state, "heartbeat": str(self._beats), "backend": backend}
            values["frames_dropped"] = str(dropped)
            values |= {name: str(count) for name, count in sorted(self.counts.items())} | self._notes
            values["rate_in_hz"] = f"{_rate(self._inputs):.2f}"
            values["rate_out_hz"] = f"{_rate(self._outputs):.2f}"
            if self._ages:
                values["age_ms"] = f"{statistics.median(self._ages) * 1e3:.1f}"
            for name, seconds in self._stages.items():
                values[f"latency_{name}_ms"] = f"{statistics.median(seconds) * 1e3:.2f}"
            values["last_error"] = self._last_error
        camera = f" {self.camera}" if self.camera else ""
        status = DiagnosticStatus(name=f"{node_name}: segmentation{camera}", hardware_id=node_name)
        status.level = DiagnosticStatus.WARN if warnings else DiagnosticStatus.OK
        status.message = warnings[0] if warnings else state
        if busy > HANGS:
            status.level = DiagnosticStatus.ERROR
            status.message = f"the inference thread has been busy with one frame for {busy:.0f} s"
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        return status


def _rate(times: deque[float]) -> float:
    """Return the number of events per second over the last five seconds."""
    now = time.monotonic()
    recent = [t for t in times if now - t < 5.0]
    return (len(recent) - 1) / max(now - recent[0], 1e-6) if len(recent) > 1 else 0.0
