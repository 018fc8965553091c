# SPDX-License-Identifier: Apache-2.0
"""Describe the machine of a figure, so that it can be reproduced: CPU, clocks, drivers, versions, commit.

A value that the machine does not report is None. Only the standard library is needed.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from .. import __version__
from .peak_rates import THREAD_VARIABLES, cpus

PACKAGES = (
    *("numpy", "opencv-python-headless", "opencv-python", "onnxruntime", "onnxruntime-gpu", "openvino"),
    *("torch", "tensorrt", "cuda-bindings", "pycuda"),
)
#: Instruction sets that decide the speed of networks, as /proc/cpuinfo names them; x86, then ARM.
INSTRUCTION_SETS = {
    *("avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_bf16", "amx_int8"),
    *("asimd", "asimdhp", "asimddp", "bf16", "i8mm", "sve", "sve2"),
}
#: Environment variables that affect a runtime.
VARIABLES = (
    *(*THREAD_VARIABLES, "OMP_WAIT_POLICY", "KMP_AFFINITY", "EVITSAM_CUDA", "EVITSAM_GPU"),
    *("CUDA_VISIBLE_DEVICES", "MALLOC_TOP_PAD_", "LD_PRELOAD"),
)


def read(path: Path) -> str | None:
    """Return the text of a small file; None if it is missing or forbidden."""
    try:
        return path.read_text(errors="replace").strip("\0\n ")
    except OSError:
        return None


def command_output(*command: str) -> str | None:
    """Return the output of a command; None if it is missing or fails."""
    if not shutil.which(command[0]):
        return None
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def machine_facts(root: Path = Path("/")) -> dict[str, str | float | None]:
    """Return the facts of the machine for people; ``root`` is the folder of ``proc``, ``sys`` and ``etc``."""
    frequency = root / "sys/devices/system/cpu/cpu0/cpufreq"
    return {
        "CPU": _cpu(root),
        "CPU family": _cpu_family(root),
        "instruction sets": _instruction_sets(root),
        "CPUs of this process": cpus(),
        "CPU quota": _quota(root),
        "memory, GiB": _memory(root),
        "governor": read(frequency / "scaling_governor"),
        "highest clock, MHz": _mega(read(frequency / "cpuinfo_max_freq")),
        "turbo": _turbo(root),
        "board": read(root / "proc/device-tree/model") or read(root / "sys/class/dmi/id/product_name"),
        "JetPack": (read(root / "etc/nv_tegra_release") or "").partition("\n")[0].lstrip("# ") or None,
        "power mode": _one_line(command_output("nvpmodel", "-q")),
        "GPU": _smi("name"),
        "GPU driver": _smi("driver_version"),
        "GPU power limit": _smi("power.limit"),
        "virtual machine": _virtual(root),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def _cpu(root: Path) -> str | None:
    for line in (read(root / "proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model", "Hardware") and value.strip():
            return value.strip()
    return platform.processor() or None


def _cpu_fields(root: Path) -> dict[str, str]:
    """Return the fields of the first CPU in /proc/cpuinfo."""
    fields: dict[str, str] = {}
    for line in (read(root / "proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    return fields


def _cpu_family(root: Path) -> str | None:
    """Return the numbers that identify a processor model, which hypervisors leave as they are."""
    fields = _cpu_fields(root)
    if "cpu family" in fields:
        vendor = fields.get("vendor_id", "unknown vendor")
        return f"{vendor} family {fields['cpu family']} model {fields.get('model', '?')}"
    if "CPU part" in fields:
        return f"ARM implementer {fields.get('CPU implementer', '?')} part {fields['CPU part']}"
    return None


def _instruction_sets(root: Path) -> str | None:
    fields = _cpu_fields(root)
    flags = fields.get("flags", fields.get("Features"))
    return None if flags is None else " ".join(sorted(INSTRUCTION_SETS & set(flags.split())))


def _memory(root: Path) -> float | None:
    for line in (read(root / "proc/meminfo") or "").splitlines():
        if line.startswith("MemTotal:"):
            return round(int(line.split()[1]) / 2**20, 1)
    return None


def _quota(root: Path) -> str | None:
    """Return the CPUs that a container may use, if it is limited."""
    limit, _, period = (read(root / "sys/fs/cgroup/cpu.max") or "").partition(" ")
    return f"{int(limit) / int(period):g} CPUs" if limit.isdigit() and period.isdigit() else None


def _turbo(root: Path) -> str | None:
    off = read(root / "sys/devices/system/cpu/intel_pstate/no_turbo")
    boost = read(root / "sys/devices/system/cpu/cpufreq/boost")
    on = {"0": True, "1": False}.get(off or "", {"1": True, "0": False}.get(boost or ""))
    return None if on is None else "on" if on else "off"


def _virtual(root: Path) -> str | None:
    flags = read(root / "proc/cpuinfo")
    if flags is None or "flags" not in flags:
        return None
    return "yes" if " hypervisor" in flags else "no"


def _mega(kilohertz: str | None) -> float | None:
    return int(kilohertz) / 1e3 if kilohertz and kilohertz.isdigit() else None


def _one_line(text: str | None) -> str | None:
    return " ".join(text.split()) if text else None


def _smi(field: str) -> str | None:
    return _one_line(command_output("nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader"))


def made_by() -> dict[str, object]:
    """Return the versions of the package and its libraries, and the variables that affect them."""
    return {
        "package": f"evitsam_ros {__version__}",
        "commit": commit(Path(__file__).resolve().parents[2]),
        "python": platform.python_version(),
        "blas": _blas(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "environment": {name: os.environ[name] for name in VARIABLES if name in os.environ},
    }


def commit(folder: Path) -> str | None:
    """Return the commit of a checkout, with ``+changes`` if files differ from it; None elsewhere."""
    if not (folder / ".git").exists():
        return None
    found = command_output("git", "-C", str(folder), "rev-parse", "HEAD")
    changed = command_output("git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no")
    return f"{found}+changes" if found and changed else found


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _blas() -> str | None:
    try:
        built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    except (TypeError, KeyError):  # NumPy 1.24 and older print only
        return None
    return f"{built.get('name')} {built.get('version')}"
