# SPDX-License-Identifier: Apache-2.0
"""Report installed and missing requirements, with install commands. No requirement is imported."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING

from .backends.choice import measured_models, read_choice
from .backends.registry import requirements
from .bundle import DEFAULT_MODEL, BundleError, installed_bundles
from .jetson import JetPack, cuda_bindings_remedy, onnxruntime_remedy, read_jetpack, tensorrt_remedy

if TYPE_CHECKING:
    from .backends import Requirement


@dataclass(frozen=True)
class Finding:
    """One requirement.

    Attributes:
        name: Name of the requirement.
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


def _found(need: Requirement) -> str | None:
    """Return the version of a package that a backend needs."""
    found = (_package(module, *names) for module, names in need.distributions)
    return next((each for each in found if each), None)


def _install_hint(need: Requirement, jetpack: JetPack | None) -> str:
    """Return how a package that a backend needs is added on this machine."""
    here = {
        "ONNX Runtime": onnxruntime_remedy(jetpack),
        "TensorRT": tensorrt_remedy(),
        "CUDA bindings": cuda_bindings_remedy(jetpack),
    }
    return here.get(need.title, need.install_hint)


def _gpu(jetpack: JetPack | None) -> str | None:
    if jetpack is not None:
        return f"Jetson, {jetpack.name}: {jetpack.contents}"
    if not shutil.which("nvidia-smi"):
        return None
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    result = subprocess.run(query, capture_output=True, text=True, timeout=20)
    return result.stdout.strip().replace("\n", "; ") or None


def findings() -> list[Finding]:
    """Look for all requirements of the package, required and optional."""
    distro = os.environ.get("ROS_DISTRO") or "$ROS_DISTRO"
    rclpy = _package("rclpy", "ros-jazzy-rclpy", "rclpy")
    rmw = os.environ.get("RMW_IMPLEMENTATION") or ("default (rmw_fastrtps_cpp)" if rclpy else None)
    bundles = installed_bundles()
    jetpack = read_jetpack()
    source = "source /opt/ros/<distro>/setup.bash, or: make setup"
    return [
        Finding("Python", platform.python_version(), "Python 3.10 to 3.14", needed=True),
        Finding("ROS 2 (rclpy)", f"{distro}, rclpy {rclpy}" if rclpy else None, source, needed=True),
        Finding("RMW", rmw, source, needed=True),
        Finding(
            "vision_msgs", _package("vision_msgs"), f"apt install ros-{distro}-vision-msgs, or: make setup"
        ),
        Finding(
            "evitsam_interfaces",
            _package("evitsam_interfaces"),
            "colcon build --base-paths src src/evitsam_ros/interfaces, or: make setup (~/segment)",
        ),
        Finding("numpy", _package("numpy"), "pip install numpy", needed=True),
        Finding(
            "OpenCV",
            _package("cv2", "opencv-python-headless", "opencv-python"),
            "pip install opencv-python-headless",
            needed=True,
        ),
        *(
            Finding(need.title, _found(need), _install_hint(need, jetpack), need.needed)
            for need in requirements()
        ),
        Finding("requests", _package("requests"), "pip install requests tqdm (evitsam fetch)"),
        Finding("rosbags", _package("rosbags"), "pip install rosbags (evitsam bag; bags as sources)"),
        Finding(
            "NVML",
            _package("pynvml", "nvidia-ml-py"),
            "pip install nvidia-ml-py (a GPU's power and clocks in 'evitsam profile')",
        ),
        Finding("Jinja", _package("jinja2"), "pip install jinja2 (HTML pages of 'evitsam profile')"),
        Finding("matplotlib", _package("matplotlib"), "pip install matplotlib (charts of the HTML pages)"),
        Finding("argcomplete", _package("argcomplete"), "pip install argcomplete (shell completion)"),
        Finding("GPU", _gpu(jetpack), "none needed: the CPU works"),
        Finding(
            "bundles",
            ", ".join(sorted(bundles)) or None,
            "evitsam export --model NAME --checkpoint FILE --out FOLDER",
            needed=True,
        ),
        *(_choice(model) for model in dict.fromkeys([DEFAULT_MODEL, *measured_models()]) if model in bundles),
    ]


def _choice(model: str) -> Finding:
    """Return which backends were measured and chosen for a bundle on this CPU."""
    try:
        from .dense.bundle import open_by_kind  # it needs OpenCV, which may be what is missing

        choice = read_choice(open_by_kind(model))
    except (BundleError, ImportError):
        choice = None
    remedy = f"{model} is not measured yet: a node does it, or evitsam build --target cpu --model {model}"
    return Finding("CPU backends", f"{model}: {choice}" if choice and choice.networks else None, remedy)


def is_ready(found: list[Finding]) -> bool:
    """Return whether the main job (camera in, masks out) can run."""
    return all(item.found for item in found if item.needed)


def as_dict(found: list[Finding]) -> dict[str, object]:
    """Return the findings for JSON."""
    return {"ready": is_ready(found), "findings": [asdict(item) for item in found]}


def as_text(found: list[Finding]) -> str:
    """Return the findings as a table, one line each."""
    lines = []
    for item in found:
        mark = "ok  " if item.found else ("MISSING" if item.needed else "-   ")
        lines.append(f"{mark:8}{item.name:19}{item.found or item.remedy}")
    lines.append("ready: camera in, masks out" if is_ready(found) else "not ready: see MISSING above")
    return "\n".join(lines)
