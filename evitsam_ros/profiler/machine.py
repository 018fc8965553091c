# SPDX-License-Identifier: Apache-2.0
"""What makes a number reproducible: the machine, its clocks and power mode, drivers, versions, the commit.

Whatever a machine does not tell is None; nothing here needs more than the standard library.
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
from .ceilings import THREAD_VARIABLES, cpus

PACKAGES = (
    *("numpy", "opencv-python-headless", "opencv-python", "onnxruntime", "onnxruntime-gpu", "openvino"),
    *("torch", "tensorrt", "cuda-bindings", "pycuda"),
)
#: Environment variables that change what a runtime does.
VARIABLES = (
    *(*THREAD_VARIABLES, "OMP_WAIT_POLICY", "KMP_AFFINITY", "EVITSAM_CUDA", "EVITSAM_GPU"),
    *("CUDA_VISIBLE_DEVICES", "MALLOC_TOP_PAD_", "LD_PRELOAD"),
)


def read(path: Path) -> str | None:
    """The text of a small file, or None where it is missing or forbidden."""
    try:
        return path.read_text(errors="replace").strip("\0\n ")
    except OSError:
        return None


def told(*command: str) -> str | None:
    """What a tool prints, or None where it is missing or fails."""
    if not shutil.which(command[0]):
        return None
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def machine_facts(root: Path = Path("/")) -> dict[str, str | float | None]:
    """The machine, for people; ``root``: where ``proc``, ``sys`` and ``etc`` lie."""
    frequency = root / "sys/devices/system/cpu/cpu0/cpufreq"
    return {
        "CPU": _cpu(root),
        "CPUs of this process": cpus(),
        "CPU quota": _quota(root),
        "memory, GiB": _memory(root),
        "governor": read(frequency / "scaling_governor"),
        "highest clock, MHz": _mega(read(frequency / "cpuinfo_max_freq")),
        "turbo": _turbo(root),
        "board": read(root / "proc/device-tree/model") or read(root / "sys/class/dmi/id/product_name"),
        "JetPack": (read(root / "etc/nv_tegra_release") or "").partition("\n")[0].lstrip("# ") or None,
        "power mode": _one_line(told("nvpmodel", "-q")),
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


def _memory(root: Path) -> float | None:
    for line in (read(root / "proc/meminfo") or "").splitlines():
        if line.startswith("MemTotal:"):
            return round(int(line.split()[1]) / 2**20, 1)
    return None


def _quota(root: Path) -> str | None:
    """CPUs that a container may use, where it is limited."""
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
    return _one_line(told("nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader"))


def made_by() -> dict[str, object]:
    """Versions of the package and of what it runs on, and the variables that change what they do."""
    return {
        "package": f"evitsam_ros {__version__}",
        "commit": commit(Path(__file__).resolve().parents[2]),
        "python": platform.python_version(),
        "blas": _blas(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "environment": {name: os.environ[name] for name in VARIABLES if name in os.environ},
    }


def commit(folder: Path) -> str | None:
    """The commit of a checkout, with ``+changes`` where files differ from it; None elsewhere."""
    if not (folder / ".git").exists():
        return None
    found = told("git", "-C", str(folder), "rev-parse", "HEAD")
    changed = told("git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no")
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
