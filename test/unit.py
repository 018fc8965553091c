# SPDX-License-Identifier: Apache-2.0
"""A pytest plug-in: run what needs neither ROS, torch, scikit-image nor an inference runtime.

``make test-unit`` loads it. The packages below cannot be imported, installed or not, and a test that needs
one of them is skipped. So the result is the same in the light environment and in the full one.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

import pytest

HERE = Path(__file__).parent

ROS = (
    *("rclpy", "launch", "launch_ros", "rosidl_runtime_py", "builtin_interfaces", "sensor_msgs", "std_msgs"),
    *("std_srvs", "geometry_msgs", "vision_msgs", "diagnostic_msgs", "visualization_msgs", "tf2_msgs"),
    *("rcl_interfaces", "lifecycle_msgs"),
)
#: Import names of what only the tests of other levels have.
ABSENT = (
    *("torch", "torchvision", "timm", "safetensors", "onnx", "onnxruntime", "openvino", "skimage"),
    *(
        "tensorrt",
        "tensorrt_rtx",
        "cuda",
        "rosbags",
        "lightning_fabric",
        "transformers",
        "motmetrics",
        "lvis",
    ),
    *("aiohttp", "jinja2", "matplotlib", "argcomplete", "pyarrow", "ray", "moto", *ROS),
)
#: What a command says when no inference runtime is installed.
NO_RUNTIME = "is not installed; pip install onnxruntime", "no inference runtime is installed"


#: Paths under test/ that are not collected: they start nodes, build packages, or run networks by commands.
LEFT_OUT = (
    *("nodes", "soak", "launch_files", "package", "training", "export", "labelling", "fleet"),
    *("cli/test_segment.py", "cli/test_commands.py", "profiler/test_profile.py", "bags/test_answers.py"),
    "profiler/test_page.py",
)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    relative = collection_path.relative_to(HERE) if collection_path.is_relative_to(HERE) else None
    return True if relative is not None and relative.as_posix() in LEFT_OUT else None


class HidingFinder:
    """The finder of installed packages, which does not find those of ``ABSENT``: as if not installed."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return None if name.partition(".")[0] in ABSENT else PathFinder.find_spec(name, path, target)

    invalidate_caches = PathFinder.invalidate_caches


def pytest_configure(config: pytest.Config) -> None:
    sys.meta_path[:] = [HidingFinder if finder is PathFinder else finder for finder in sys.meta_path]


def _missing(error: BaseException | None) -> str | None:
    """Return the absent package that an error, or what it was raised from, is about."""
    while error is not None:
        name = (getattr(error, "name", None) or "").partition(".")[0]
        if isinstance(error, ImportError) and name in ABSENT:
            return name
        if any(words in str(error) for words in NO_RUNTIME):
            return "an inference runtime"
        error = error.__cause__ or error.__context__
    return None


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector):
    report = yield
    call = getattr(report, "call", None)
    if report.failed and call is not None and (name := _missing(call.excinfo.value)):
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), 0, f"Skipped: needs {name}")
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    report = yield
    if report.failed and call.excinfo is not None and (name := _missing(call.excinfo.value)):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), 0, f"Skipped: needs {name}")
    return report
