# SPDX-License-Identifier: Apache-2.0
"""``python -m evitsam_ros.autotune MODEL``: measure in a process of its own, beside a running node.

If a step takes longer than planned, a timer ends the measurement; earlier choices are stored.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from contextlib import suppress
from typing import Any

import cv2

from ..backends.choice import read_choice
from ..dense.bundle import open_by_kind
from .budget import BUDGET_S, OutOfTimeError
from .measurement import measure
from .photographs import photographs

#: Of nice(2): a tenth of a core beside a process that wants all of it. With 19 it was a hundredth, and the
#: measurement took minutes on a busy computer.
LOW_PRIORITY = 10
#: Seconds of CPU time before the end of the budget at which the timer ends the step in work.
RESERVE_S = 0.4
#: Seconds of CPU time beyond the budget at which the system ends a process that does not end itself.
GRACE_S = 3


def main(model: str) -> int:
    """Measure the candidates for a bundle; print the choice."""
    limit = round(BUDGET_S) + GRACE_S
    with suppress(ValueError, OSError):  # a lower limit is set already
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    os.nice(LOW_PRIORITY)
    cv2.setNumThreads(1)
    bundle = open_by_kind(model)
    signal.signal(signal.SIGPROF, _end_step)
    signal.setitimer(signal.ITIMER_PROF, max(0.1, BUDGET_S - RESERVE_S - time.process_time()))
    try:
        print(measure(bundle, photographs()), flush=True)
    except OutOfTimeError:  # between two steps
        print(read_choice(bundle), flush=True)
    return 0


def _end_step(*_: Any) -> None:
    raise OutOfTimeError("a step took longer than planned")


if __name__ == "__main__":
    # Without the destructors of the runtimes, which would take time of the budget.
    os._exit(main(*sys.argv[1:]))
