# SPDX-License-Identifier: Apache-2.0
"""How much of one thread a measurement may take."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds of one thread that a choice may take beside a running node, with the start of its process.
BUDGET_S = 5.0
#: Seconds reserved for the end of the process.
END_S = 0.2


class OutOfTimeError(Exception):
    """The budget is used up; networks without a choice stay in float32."""


@dataclass(frozen=True)
class Budget:
    """Limit the time of a measurement.

    Attributes:
        seconds: max reading of the clock, which is 0 at the start of the process.
        clock: seconds of one thread.
    """

    seconds: float = BUDGET_S - END_S
    clock: Callable[[], float] = time.process_time

    def allows(self, seconds: float) -> bool:
        """Return whether there is time for work of so many seconds."""
        return self.clock() + seconds <= self.seconds

    def part(self, share: float) -> Budget:
        """Return a budget that ends when a share of the time left now is used up."""
        now = self.clock()
        return Budget(now + share * (self.seconds - now), self.clock)

    def check(self, seconds: float = 0.0) -> None:
        """Raise ``OutOfTimeError`` where there is no time for work of so many seconds."""
        if not self.allows(seconds):
            raise OutOfTimeError("no time was left")
