# SPDX-License-Identifier: Apache-2.0
"""``python -m evitsam_ros.autotune MODEL``: measure in a process of its own, beside a running node.

The system ends it where it would take more than its share of the CPU; what was chosen before is kept.
"""

from __future__ import annotations

import os
import resource
import sys
from contextlib import suppress

import cv2

from ..bundle import open_bundle
from .budget import BUDGET_S
from .measurement import measure
from .photographs import photographs

#: Of nice(2): a tenth of a core beside a process that wants all of it. With 19 it was a hundredth, and the
#: measurement took minutes on a busy computer.
LOW_PRIORITY = 10


def main(model: str) -> int:
    """Measure the candidates for a bundle; print the choice."""
    limit = round(BUDGET_S)
    with suppress(ValueError, OSError):  # a lower limit is set already
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    os.nice(LOW_PRIORITY)
    cv2.setNumThreads(1)
    print(measure(open_bundle(model), photographs()), flush=True)
    return 0


if __name__ == "__main__":
    # Without the destructors of the runtimes, which would take time of the budget.
    os._exit(main(*sys.argv[1:]))
