# SPDX-License-Identifier: Apache-2.0
"""The GPU of this machine that is used, for TensorRT and torch."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass


class GpuError(ValueError):
    """``EVITSAM_GPU`` names no GPU of this machine; the message has the remedy."""


@dataclass(frozen=True)
class Gpu:
    """``name`` as the driver reports it, ``target`` its compute capability as ``sm87``."""

    name: str
    target: str


def gpu_index() -> int:
    """Return the number of the GPU to use, as CUDA counts them: ``EVITSAM_GPU``, or 0.

    Raises:
        GpuError: ``EVITSAM_GPU`` is not a number.
    """
    text = os.environ.get("EVITSAM_GPU", "").strip() or "0"
    if not text.isdecimal():
        raise GpuError(f"EVITSAM_GPU is {text!r}; expected the number of a GPU, as 0 for the first")
    return int(text)


def find_gpu() -> Gpu | None:
    """Return the GPU of this machine that is used, or None without one or without a driver.

    Raises:
        GpuError: ``EVITSAM_GPU`` names a GPU that there is not.
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
        raise GpuError(f"EVITSAM_GPU is {index}, but there are {count} GPUs; expected 0 to {count - 1}")


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
