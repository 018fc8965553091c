# SPDX-License-Identifier: Apache-2.0
"""Detect a Jetson's JetPack, and the location of its Python packages."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

#: Of a Jetson: the release of Jetson Linux (L4T), which stands for the JetPack.
RELEASE = Path("/etc/nv_tegra_release")
#: Where Debian and Ubuntu put the system's Python packages, which JetPack's are among.
SYSTEM_PACKAGES = Path("/usr/lib")


@dataclass(frozen=True)
class JetPack:
    """A JetPack by its major version.

    Attributes:
        name: with the release of Jetson Linux.
        contents: the versions that belong together.
        cuda: major version of CUDA, and of ``cuda-bindings``.
    """

    name: str
    contents: str
    cuda: int


def read_jetpack(release: Path = RELEASE) -> JetPack | None:
    """Read which JetPack a Jetson has; None on other machines, and if the file has another form."""
    try:
        text = release.read_text(errors="replace")
    except OSError:
        return None
    found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", text)
    if not found:
        return None
    major, linux = int(found[1]), f"Jetson Linux {found[1]}.{found[2]}"
    if major >= 38:
        return JetPack(f"JetPack 7 ({linux})", "Ubuntu 24.04, Python 3.12, CUDA 13, TensorRT 10", 13)
    if major == 36:
        return JetPack(f"JetPack 6 ({linux})", "Ubuntu 22.04, Python 3.10, CUDA 12, TensorRT 10", 12)
    return JetPack(f"JetPack 5 or older ({linux})", "not supported: Python is older than 3.10", 11)


def hidden_package(name: str, root: Path = SYSTEM_PACKAGES) -> Path | None:
    """Find a package of the system's Python that a virtual environment hides, or None."""
    if sys.prefix == sys.base_prefix:
        return None
    return next(iter(sorted(root.glob(f"python3*/dist-packages/{name}"))), None)


def tensorrt_remedy(root: Path = SYSTEM_PACKAGES) -> str:
    """Return how TensorRT's Python package is added here."""
    if place := hidden_package("tensorrt", root):
        return f"is in {place.parent}, hidden by this environment: python3 -m venv --system-site-packages"
    return "comes with JetPack, or: apt install tensorrt"


def cuda_bindings_remedy(jetpack: JetPack | None) -> str:
    """Return how cuda-bindings are added here; their major version is CUDA's."""
    if jetpack is not None:
        return f"pip install 'cuda-bindings=={jetpack.cuda}.*', to run engines"
    return "pip install cuda-bindings (12.x for CUDA 12, 13.x for CUDA 13), to run engines"


def onnxruntime_remedy(jetpack: JetPack | None) -> str:
    """Return which ONNX Runtime this machine can have."""
    if jetpack is not None:
        return "pip install onnxruntime (for the CPU; there is no onnxruntime-gpu for aarch64: use TensorRT)"
    return "pip install onnxruntime"
