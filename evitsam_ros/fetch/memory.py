# SPDX-License-Identifier: Apache-2.0
"""Compare the memory that an export takes with the available memory."""

from __future__ import annotations

import re
from pathlib import Path

#: Peak of an export, measured on EfficientViT-SAM L0 and XL1: bytes, and times the size of the checkpoint.
_BASE, _TIMES = 0.3e9, 7.0


def memory_for_export(checkpoint: int) -> float:
    """Return the peak memory in bytes of exporting a checkpoint of so many bytes."""
    return _BASE + _TIMES * checkpoint


def available_memory(meminfo: Path = Path("/proc/meminfo")) -> float | None:
    """Return the bytes available without swapping; None if the kernel does not report them."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB$", meminfo.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def memory_warning(checkpoint: int | None) -> str:
    """Return a line where the memory may not be enough for an export; empty where it is, or is not known."""
    available = available_memory()
    if checkpoint is None or available is None or available >= (needed := memory_for_export(checkpoint)):
        return ""
    return (
        f"warning: the export takes about {needed / 1e9:.1f} GB of memory and {available / 1e9:.1f} GB are "
        "available; a machine with more can make the bundle ('evitsam pack')"
    )
