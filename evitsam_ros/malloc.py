# SPDX-License-Identifier: Apache-2.0
"""Keep large freed blocks in the heap.

Returning their pages to the system and faulting them in again costs more than their use: rclpy allocates a
new buffer for every image, and half of the time of a training step on a CPU went into page faults.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

# From malloc.h of glibc.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3

#: Growth of the process, as a share, after which its free memory goes back to the system.
GROWTH = 0.1


class HeapWatch:
    """Return free memory to the system once a process has grown, for example by huge messages."""

    def __init__(self) -> None:
        self._baseline = 0

    def look(self) -> bool:
        """Check the growth, and return whether memory was released; to be called every few seconds."""
        now = _resident()
        if self._baseline and now <= self._baseline * (1 + GROWTH):
            return False
        released = give_back_memory()
        self._baseline = _resident()
        return released


def _resident() -> int:
    """Return the bytes of this process in memory; 0 where the system does not report them."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def give_back_memory() -> bool:
    """Return free memory to the system once: planning a network takes far more than running it.

    Returns:
        Whether any was returned; False where there is no ``malloc_trim``.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return False
    return bool(trim(ctypes.c_size_t(0)))


def tune_malloc() -> bool:
    """Stop glibc from returning megabyte blocks to the system.

    Returns:
        Whether it was set; False where there is no ``mallopt``.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, 1 << 30)) and bool(mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
