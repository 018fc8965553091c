# SPDX-License-Identifier: Apache-2.0
"""What follows when inference fails: a pause that grows, and after some failures another runtime."""

from __future__ import annotations

import time

#: Failures in a row after which the networks are opened anew, on the next runtime if there is one.
ENOUGH = 3
#: Seconds of the first pause and of the longest.
FIRST, LONGEST = 0.1, 5.0


class Recovery:
    """Counts failures in a row; a single bad frame changes nothing, a lost GPU ends on the CPU.

    Attributes:
        avoid: runtimes that have failed.
    """

    def __init__(self) -> None:
        self.avoid: frozenset[str] = frozenset()
        self._failures = 0
        self._until = 0.0

    @property
    def pausing(self) -> bool:
        """Whether to let this frame go by."""
        return time.monotonic() < self._until

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self) -> bool:
        """Note a failure; whether it is time to open the networks anew."""
        self._failures += 1
        pause = min(FIRST * 2 ** (self._failures - 1), LONGEST)
        self._until = time.monotonic() + (pause if self._failures > 1 else 0.0)
        return self._failures % ENOUGH == 0

    def give_up(self, used: frozenset[str]) -> None:
        """Choose what to avoid: a GPU's runtimes first, then the CPU's two in turns."""
        on_gpu = used & {"tensorrt", "torch"}
        if on_gpu:
            self.avoid |= on_gpu
        elif "openvino" in used:
            self.avoid = self.avoid - {"onnxruntime"} | {"openvino"}
        else:
            self.avoid = self.avoid - {"openvino"} | used
