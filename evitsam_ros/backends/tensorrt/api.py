# SPDX-License-Identifier: Apache-2.0
"""Find the installed TensorRT, and describe how its version differs: 10.3 to 11, or TensorRT-RTX."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

#: Import name and kind, in the order of preference.
MODULES = (
    ("tensorrt", "tensorrt"),
    ("tensorrt_rtx", "tensorrt_rtx"),
    ("tensorrt_rtx_bindings", "tensorrt_rtx"),
)


class TensorRtError(ValueError):
    """TensorRT is missing, too old, or fails; the message has the remedy."""


@dataclass(frozen=True)
class TensorRt:
    """An installed TensorRT.

    Attributes:
        module: the Python module.
        kind: ``tensorrt`` or ``tensorrt_rtx``.
        version: of the library.
        names_targets: whether it builds for a named compute capability on a machine without that GPU.
        strongly_typed: flag of ``create_network``; 0 if every network is strongly typed.
        has_monitor: whether it reports its progress.
    """

    module: ModuleType
    kind: str
    version: str
    names_targets: bool
    strongly_typed: int
    has_monitor: bool

    @property
    def name(self) -> str:
        """Return kind and version."""
        return f"{self.kind} {self.version}"

    def targets(self) -> list[str]:
        """Return the compute capabilities that can be named, as ``sm86``."""
        if not self.names_targets:
            return []
        names = [name for name in dir(self.module.ComputeCapability) if re.fullmatch(r"SM\d+", name)]
        return sorted((name.lower() for name in names), key=lambda name: int(name[2:]))


def find_tensorrt(kind: str | None = None) -> TensorRt:
    """Import the preferred TensorRT.

    Args:
        kind: ``tensorrt`` or ``tensorrt_rtx``; None: the first that can be imported.

    Raises:
        TensorRtError: none can be imported; has the installation of each.
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
    """Describe the capabilities of a TensorRT module.

    Raises:
        TensorRtError: the version is too old.
    """
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
