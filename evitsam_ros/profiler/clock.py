# SPDX-License-Identifier: Apache-2.0
"""How long something takes, by the host's monotonic clock."""

from __future__ import annotations

import time
from collections.abc import Callable


def seconds(work: Callable[[], object]) -> float:
    """Do it once."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
