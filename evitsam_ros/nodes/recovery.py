# SPDX-License-Identifier: Apache-2.0
"""Recover from failures of inference: a pause that grows, and after some failures another runtime."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ..backends.registry import exclude_failed

#: Consecutive failures after which the networks are reopened, on the next runtime if there is one.
MAX_FAILURES = 3
#: Seconds of the first and of the longest pause.
MIN_PAUSE, MAX_PAUSE = 0.1, 5.0
#: Seconds for which a camera's success shows that the runtime works.
SUCCESS_VALID_FOR = 10.0


@dataclass
class _Streak:
    """Count a camera's consecutive failures.

    Attributes:
        failures: since the last success; the pause grows with them.
        on_runtime: since the last success, on this runtime.
        until: end of the pause, by the monotonic clock.
        succeeded: time of the last success, if no failure followed.
    """

    failures: int = 0
    on_runtime: int = 0
    until: float = 0.0
    succeeded: float = float("-inf")


class Recovery:
    """Count consecutive failures: a single bad frame has no effect, a lost GPU is replaced by the CPU. A
    camera with failing frames pauses alone. The runtime, which all cameras share, is replaced only when it
    works for none of them.

    Args:
        cameras: number of cameras.

    Attributes:
        exclude: runtimes that have failed.
    """

    def __init__(self, cameras: int = 1) -> None:
        self.exclude: frozenset[str] = frozenset()
        self._cameras = [_Streak() for _ in range(cameras)]

    def pause(self, camera: int = 0) -> float:
        """Return the seconds for which the camera's frames are skipped; 0 when it does not pause."""
        return max(0.0, self._cameras[camera].until - time.monotonic())

    def succeeded(self, camera: int = 0) -> None:
        """Note that a frame of the camera was processed."""
        self._cameras[camera] = _Streak(succeeded=time.monotonic())

    def failed(self, camera: int = 0) -> bool:
        """Note a failure; return whether to reopen the networks."""
        streak = self._cameras[camera]
        streak.failures += 1
        streak.on_runtime += 1
        streak.succeeded = float("-inf")
        now, pause = time.monotonic(), min(MIN_PAUSE * 2 ** (streak.failures - 1), MAX_PAUSE)
        streak.until = now + (pause if streak.failures > 1 else 0.0)
        if any(now - other.succeeded < SUCCESS_VALID_FOR for other in self._cameras):
            return False
        if max(other.on_runtime for other in self._cameras) < MAX_FAILURES:
            return False
        for other in self._cameras:
            other.on_runtime = 0
        return True

    def exclude_runtime(self, used: frozenset[str]) -> None:
        """Exclude a runtime that fails: a GPU's runtimes first, then the CPU's in turn."""
        self.exclude = exclude_failed(self.exclude, used)
