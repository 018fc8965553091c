# SPDX-License-Identifier: Apache-2.0
"""Keep large blocks in the heap: giving their pages back to the system and faulting them in again costs more
than their use. rclpy allocates every image anew; a training step on a CPU allocates gigabytes (half of its
time went there)."""

from __future__ import annotations

import ctypes

# From malloc.h of glibc.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


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
