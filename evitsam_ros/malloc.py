# SPDX-License-Identifier: Apache-2.0
"""Keep large blocks in the heap: giving their pages back to the system and faulting them in again costs more
than their use. rclpy allocates every image anew; a training step on a CPU allocates gigabytes (half of its
time went there)."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

# From malloc.h of glibc.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


#: Growth of the process, as a share, after which its free memory goes back to the system.
GROWTH = 0.1


class HeapWatch:
    """Gives free memory back once a process has grown: a kept heap keeps what huge messages took, too."""

    def __init__(self) -> None:
        self._least = 0

    def look(self) -> bool:
        """To be called now and then; whether there was anything to give back."""
        now = _resident()
        if self._least and now <= self._least * (1 + GROWTH):
            return False
        given = give_back_memory()
        self._least = _resident()
        return given


def _resident() -> int:
    """Bytes of this process in memory; 0 where that is not told."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def give_back_memory() -> bool:
    """Give what is free back to the system, once: planning a network takes far more than running it."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return False
    return bool(trim(ctypes.c_size_t(0)))


def tune_malloc() -> bool:
    """Stop glibc from giving megabyte blocks back to the system; False where there is no mallopt."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, 1 << 30)) and bool(mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
