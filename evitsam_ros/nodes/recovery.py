# SPDX-License-Identifier: Apache-2.0
"""What follows when inference fails: a pause that grows, and after some failures another runtime."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ..backends.registry import exclude_failed

#: Failures in a row after which the networks are opened anew, on the next runtime if there is one.
ENOUGH = 3
#: Seconds of the first pause and of the longest.
FIRST, LONGEST = 0.1, 5.0
#: Seconds for which a camera's success shows that the runtime works.
HEALTHY = 10.0


@dataclass
class _Streak:
    """A camera's failures in a row.

    Attributes:
        failures: since its last success; the pause grows with them.
        on_runtime: those of them on this runtime.
        until: end of the pause, by the monotonic clock.
        succeeded: time of the last success, if that was its last result.
    """

    failures: int = 0
    on_runtime: int = 0
    until: float = 0.0
    succeeded: float = float("-inf")


class Recovery:
    """Counts failures in a row; a single bad frame changes nothing, a lost GPU ends on the CPU.

    A camera whose frames fail pauses alone. The runtime, which all cameras share, is given up only when it
    works for none of them.

    Attributes:
        avoid: runtimes that have failed.
    """

    def __init__(self, cameras: int = 1) -> None:
        self.avoid: frozenset[str] = frozenset()
        self._cameras = [_Streak() for _ in range(cameras)]

    def pause(self, camera: int = 0) -> float:
        """Seconds for which to let the camera's frames go by; 0 when it does not pause."""
        return max(0.0, self._cameras[camera].until - time.monotonic())

    def succeeded(self, camera: int = 0) -> None:
        """The networks have answered a frame of the camera."""
        self._cameras[camera] = _Streak(succeeded=time.monotonic())

    def failed(self, camera: int = 0) -> bool:
        """Note a failure; whether it is time to open the networks anew."""
        streak = self._cameras[camera]
        streak.failures += 1
        streak.on_runtime += 1
        streak.succeeded = float("-inf")
        now, pause = time.monotonic(), min(FIRST * 2 ** (streak.failures - 1), LONGEST)
        streak.until = now + (pause if streak.failures > 1 else 0.0)
        if any(now - other.succeeded < HEALTHY for other in self._cameras):
            return False
        if max(other.on_runtime for other in self._cameras) < ENOUGH:
            return False
        for other in self._cameras:
            other.on_runtime = 0
        return True

    def give_up(self, used: frozenset[str]) -> None:
        """Choose what to avoid: a GPU's runtimes first, then the CPU's in turns."""
        self.avoid = exclude_failed(self.avoid, used)
