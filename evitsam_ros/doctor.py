# SPDX-License-Identifier: Apache-2.0
"""Report what this machine has and lacks, and how to add it. Nothing that is looked for is imported."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from .bundle import installed_bundles


@dataclass(frozen=True)
class Finding:
    """One requirement.

    Attributes:
        name: What is looked for.
        found: Its version or name; None if it is missing.
        remedy: Command that installs it.
        needed: Required for the main job: images in, masks out.
    """

    name: str
    found: str | None
    remedy: str = ""
    needed: bool = False


def _package(module: str, *distributions: str) -> str | None:
    """Return the version of an importable module, by its possible distribution names; None without it."""
    try:
        if find_spec(module) is None:
            return None
    except (ImportError, ValueError):
        return None
    for name in distributions or (module,):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "present"


def _gpu() -> str | None:
    tegra = Path("/etc/nv_tegra_release")
    if tegra.is_file():
        return f"Jetson, {tegra.read_text().splitlines()[0].lstrip('# ')}"
    if not shutil.which("nvidia-smi"):
        return None
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    result = subprocess.run(query, capture_output=True, text=True, timeout=20)
    return result.stdout.strip().replace("\n", "; ") or None


def findings() -> list[Finding]:
    """Look for everything that the package can use, required or optional."""
    distro = os.environ.get("ROS_DISTRO") or "$ROS_DISTRO"
    rclpy = _package("rclpy", "ros-jazzy-rclpy", "rclpy")
    rmw = os.environ.get("RMW_IMPLEMENTATION") or ("default (rmw_fastrtps_cpp)" if rclpy else None)
    bundles = installed_bundles()
    source = "source /opt/ros/<distro>/setup.bash, or: make setup"
    return [
        Finding("Python", platform.python_version(), "Python 3.10 to 3.13", needed=True),
        Finding("ROS 2 (rclpy)", f"{distro}, rclpy {rclpy}" if rclpy else None, source, needed=True),
        Finding("RMW", rmw, source, needed=True),
        Finding(
            "vision_msgs", _package("vision_msgs"), f"apt install ros-{distro}-vision-msgs, or: make setup"
        ),
        Finding("numpy", _package("numpy"), "pip install numpy", needed=True),
        Finding(
            "OpenCV",
            _package("cv2", "opencv-python-headless", "opencv-python"),
            "pip install opencv-python-headless",
            needed=True,
        ),
        Finding(
            "ONNX Runtime",
            _package("onnxruntime", "onnxruntime", "onnxruntime-gpu"),
            "pip install onnxruntime",
            needed=True,
        ),
        Finding("OpenVINO", _package("openvino"), "pip install openvino (faster on x86 CPUs)"),
        Finding("torch", _package("torch"), "pip install torch (export, training, reference backend)"),
        Finding("rosbags", _package("rosbags"), "pip install rosbags (evitsam bag; bags as sources)"),
        Finding("TensorRT", _package("tensorrt"), "comes with JetPack, or: apt install tensorrt"),
        Finding(
            "TensorRT-RTX",
            _package("tensorrt_rtx_bindings", "tensorrt_rtx_cu12_bindings"),
            "pip install tensorrt-rtx-cu12-bindings tensorrt-rtx-cu12-libs (engines for named GPUs)",
        ),
        Finding(
            "CUDA bindings",
            _package("cuda", "cuda-bindings") or _package("pycuda"),
            "pip install cuda-bindings (12.x on JetPack 6), to run engines",
        ),
        Finding(
            "NVML",
            _package("pynvml", "nvidia-ml-py"),
            "pip install nvidia-ml-py (a GPU's power and clocks in 'evitsam profile')",
        ),
        Finding("GPU", _gpu(), "none needed: the CPU works"),
        Finding(
            "bundles",
            ", ".join(sorted(bundles)) or None,
            "evitsam export MODEL --checkpoint F --out DIR",
            needed=True,
        ),
    ]


def main(*, as_json: bool = False) -> int:
    """Print the findings.

    Returns:
        The exit code: 0 if everything that is needed was found, else 1.
    """
    found = findings()
    ready = all(item.found for item in found if item.needed)
    if as_json:
        print(json.dumps({"ready": ready, "findings": [asdict(item) for item in found]}, indent=2))
        return 0 if ready else 1
    for item in found:
        mark = "ok  " if item.found else ("MISSING" if item.needed else "-   ")
        print(f"{mark:8}{item.name:15}{item.found or item.remedy}")
    print("ready: camera in, masks out" if ready else "not ready: see MISSING above")
    return 0 if ready else 1


if __name__ == "__main__":
    sys.exit(main())
