# SPDX-License-Identifier: Apache-2.0
"""One code path for TensorRT 10.3 to 11 and TensorRT-RTX: what is installed, and how it differs."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from types import ModuleType
from typing import Any

#: Import name and kind, in the order of preference.
MODULES = (
    ("tensorrt", "tensorrt"),
    ("tensorrt_rtx", "tensorrt_rtx"),
    ("tensorrt_rtx_bindings", "tensorrt_rtx"),
)


class TensorRtError(ValueError):
    """TensorRT is missing, too old, or refuses; the message says what to do."""


@dataclass(frozen=True)
class TensorRt:
    """An installed TensorRT.

    Attributes:
        module: the Python module.
        kind: ``tensorrt`` or ``tensorrt_rtx``.
        version: of the library.
        names_targets: builds for a named compute capability on a machine without that GPU.
        strongly_typed: flag of ``create_network``; 0 where every network is strongly typed.
        has_monitor: reports its progress.
    """

    module: ModuleType
    kind: str
    version: str
    names_targets: bool
    strongly_typed: int
    has_monitor: bool

    @property
    def name(self) -> str:
        return f"{self.kind} {self.version}"

    def targets(self) -> list[str]:
        """Compute capabilities that can be named, as ``sm86``."""
        if not self.names_targets:
            return []
        names = [name for name in dir(self.module.ComputeCapability) if re.fullmatch(r"SM\d+", name)]
        return sorted((name.lower() for name in names), key=lambda name: int(name[2:]))


def find_tensorrt(kind: str | None = None) -> TensorRt:
    """Import the best TensorRT there is.

    Args:
        kind: ``tensorrt`` or ``tensorrt_rtx``, or the first that imports.

    Raises:
        TensorRtError: none imports; the message names the way to each.
    """
    reasons = []
    for name, found in MODULES:
        if kind in (None, found):
            try:
                module = importlib.import_module(name)
                return describe(module, found)
            except (ImportError, OSError, AttributeError, RuntimeError) as error:
                reasons.append(f"{name}: {error}")
    raise TensorRtError(
        "no TensorRT here (" + "; ".join(reasons) + "). On a Jetson it comes with JetPack (apt-get install "
        "python3-libnvinfer), on a server with apt from NVIDIA's repository; to build for a named target on "
        "any machine: pip install tensorrt-rtx-cu12-bindings tensorrt-rtx-cu12-libs"
    )


def describe(module: Any, kind: str) -> TensorRt:
    """The capabilities of a TensorRT module."""
    flags = getattr(module, "NetworkDefinitionCreationFlag", None)
    typed = getattr(flags, "STRONGLY_TYPED", None)
    major = int(module.__version__.split(".")[0])
    if kind == "tensorrt" and major < 10:
        raise TensorRtError(
            f"TensorRT {module.__version__} is too old: expected 10.3 (JetPack 6) or newer, with strongly "
            "typed networks and the tensor-name interface"
        )
    return TensorRt(
        module=module,
        kind=kind,
        version=module.__version__,
        names_targets=hasattr(module, "ComputeCapability"),
        strongly_typed=0 if typed is None else 1 << int(typed),
        has_monitor=hasattr(module, "IProgressMonitor"),
    )


@dataclass(frozen=True)
class Gpu:
    """``name`` as the driver says it, ``target`` its compute capability as ``sm87``."""

    name: str
    target: str


def gpu_index() -> int:
    """The number of the GPU to use, as CUDA counts them: ``EVITSAM_GPU``, or 0.

    Raises:
        TensorRtError: ``EVITSAM_GPU`` is not a number.
    """
    text = os.environ.get("EVITSAM_GPU", "").strip() or "0"
    if not text.isdecimal():
        raise TensorRtError(f"EVITSAM_GPU is {text!r}; expected the number of a GPU, as 0 for the first")
    return int(text)


def find_gpu() -> Gpu | None:
    """The GPU of this machine that is used, or None without one or without a driver.

    Raises:
        TensorRtError: ``EVITSAM_GPU`` names a GPU that there is not.
    """
    index = gpu_index()
    try:
        from cuda.bindings import runtime as cuda
    except ImportError:
        return _gpu_by_tool(index)
    error, count = cuda.cudaGetDeviceCount()
    if int(error) or not count:
        return None
    _check_index(index, count)
    error, properties = cuda.cudaGetDeviceProperties(index)
    if int(error):
        return None
    return Gpu(properties.name.decode().rstrip("\0"), f"sm{properties.major}{properties.minor}")


def _check_index(index: int, count: int) -> None:
    if index >= count:
        raise TensorRtError(f"EVITSAM_GPU is {index}, but there are {count} GPUs; expected 0 to {count - 1}")


def _gpu_by_tool(index: int) -> Gpu | None:
    if not shutil.which("nvidia-smi"):
        return None
    query = ["nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, timeout=20)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines or "," not in lines[0]:
        return None
    _check_index(index, len(lines))
    name, capability = (part.strip() for part in lines[index].rsplit(",", 1))
    return Gpu(name, "sm" + capability.replace(".", ""))
