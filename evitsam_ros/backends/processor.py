# SPDX-License-Identifier: Apache-2.0
"""The processor of this machine, as far as the speed and the rounding of a network depend on it."""

from __future__ import annotations

import hashlib
import os
import platform
from pathlib import Path

#: Lines of ``/proc/cpuinfo`` that distinguish processors, on x86 and on Arm.
_IDENTIFYING = (
    *("vendor_id", "cpu family", "model", "model name", "stepping", "flags"),
    *("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "Features", "Hardware"),
)
#: Environment variables that hide instructions from a runtime.
_LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "DNNL_DEFAULT_FPMATH_MODE", "ONEDNN_DEFAULT_FPMATH_MODE")


def cpu_count() -> int:
    """Return the number of CPUs that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's name with a hash of its instructions and of settings that hide some from
    runtimes.

    Args:
        cpuinfo: Linux's description of the processor; other systems give its name only.
    """
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    pairs = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    facts = sorted({pair for pair in pairs if pair[0] in _IDENTIFYING})
    name = next((value for key, value in facts if key in ("model name", "Hardware")), platform.processor())
    limits = [(each, os.environ[each]) for each in _LIMITS if each in os.environ]
    digest = hashlib.sha256(repr((platform.machine(), facts, limits)).encode()).hexdigest()
    return f"{name or platform.machine()} ({digest[:12]})"
