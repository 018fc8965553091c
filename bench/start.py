# SPDX-License-Identifier: Apache-2.0
"""Measure the suite ``start``: process start to the first mask, imports, memory, and the absence of torch."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evitsam_ros.profiler.measurements import Figure, Suite
from evitsam_ros.profiler.sensors import MIB, resident_mib
from evitsam_ros.profiler.statistics import seconds

from .processes import background, environment, ros_arguments

if TYPE_CHECKING:
    from .workload import Settings

#: Third-party modules of the robot's path that any frame needs; SciPy is for tracking only.
RUNTIMES = ("openvino",)
DEPENDENCIES = (
    "numpy",
    "cv2",
    "yaml",
    "jsonschema",
    "rclpy",
    "rclpy.lifecycle",
    "sensor_msgs.msg",
    *RUNTIMES,
)
NODE = "evitsam_ros.nodes.segmenter"
LOWER_BOUND = "import of the dependencies"
#: Where the astronaut's face is, in an image 640 pixels wide; masks after which memory is read.
CLICK, WIDTH, MASKS = ("281", "150"), 640, "20"
#: Seconds after which a start is considered failed.
TIMEOUT = 120.0


@dataclass(frozen=True)
class Start:
    """One start of the segmenter.

    Attributes:
        found: seconds until its topic was discovered.
        seconds: seconds until the first mask.
        resident_mb: resident memory after the last mask.
        peak_mb: peak resident memory.
        torch: libraries of torch that the process has mapped.
    """

    found: float
    seconds: float
    resident_mb: float
    peak_mb: float
    torch: list[str]


def start(settings: Settings) -> Suite:
    """Measure the suite ``start``; imports of our modules and of their dependencies are interleaved."""
    imports = [import_seconds() for _ in range(settings.imports)]
    with camera():
        starts = [first_mask() for _ in range(settings.starts)]
    ours, dependencies, empty = map(list, zip(*imports, strict=True))
    ours = [a - b for a, b in zip(ours, empty, strict=True)]
    dependencies = [a - b for a, b in zip(dependencies, empty, strict=True)]
    suite = Suite()
    suite.add(Figure("start/import", "import of the robot's path", "s", ours, dependencies, LOWER_BOUND))
    # Starts and imports differ in number, so the median of the imports is the bound of every start.
    lower_bound = [sorted(dependencies)[len(dependencies) // 2]] * len(starts)
    taken = [s.seconds for s in starts]
    suite.add(Figure("start/first mask", "process start to first mask", "s", taken, lower_bound, LOWER_BOUND))
    # Networks and topics are ready earlier; DDS discovery takes the rest (docs/benchmarks.md).
    suite.add(Figure("start/found", "process start to its topic discovered", "s", [s.found for s in starts]))
    memory = [s.resident_mb for s in starts]
    suite.figures.append(
        Figure("start/memory", f"resident memory after {MASKS} frames", "MB", memory, details=_peak(starts))
    )
    found = sorted({name for s in starts for name in s.torch})
    counts = [float(len(s.torch)) for s in starts]
    details = {"libraries": found}
    suite.figures.append(Figure("start/torch", "torch's libraries in it", "", counts, details=details))
    suite.notes.append(
        "start: the segmenter with the shipped bundle beside a camera of 20 Hz; a click is sent as "
        "soon as its topic is discovered, with the shipped Fast DDS profile. The environment of make setup "
        "starts Python twice, which is included."
    )
    return suite


def _peak(starts: list[Start]) -> dict[str, float]:
    return {"peak_mb": max(s.peak_mb for s in starts)}


def import_seconds() -> tuple[float, float, float]:
    """Return the seconds in which fresh interpreters import the robot's path, its dependencies, no module."""

    def run(code: str) -> float:
        command = [sys.executable, "-c", code]
        return seconds(lambda: subprocess.run(command, env=environment(), check=True))

    ours = ", ".join((NODE, *RUNTIMES))
    return run(f"import {ours}"), run(f"import {', '.join(DEPENDENCIES)}"), run("pass")


@contextmanager
def camera(source: str = "skimage:astronaut"):
    """Run the camera node for the duration of the block."""
    parameters = {"source": source, "rate": 20.0, "width": WIDTH}
    with background("evitsam_ros.nodes.camera", *ros_arguments(parameters)) as running:
        yield running


def first_mask(bundle: str = "lite_sam") -> Start:
    """Start the segmenter beside a running camera.

    Raises:
        RuntimeError: no image or no mask arrived; has the end of the segmenter's log.
    """
    command = [sys.executable, "-m", "bench.ros.first_mask", *CLICK, MASKS]
    listener = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        _next_value(listener, "images", "the camera")
        began = time.monotonic()
        with background(NODE, *ros_arguments({"model": bundle})) as segmenter:
            try:
                found = _next_value(listener, "found", "the segmenter")
                first = _next_value(listener, "first", "the segmenter")
                _next_value(listener, "masks", "the segmenter")
            except RuntimeError as error:
                raise RuntimeError(f"{error}:\n{segmenter.log_tail()}") from error
            pid = segmenter.process.pid
            resident = {name: mib * MIB / 1e6 for name, mib in resident_mib(pid=pid).items()}
            return Start(
                found - began, first - began, resident["now"], resident["peak"], torch_libraries(pid)
            )
    finally:
        listener.terminate()
        listener.wait(timeout=20)
        listener.stdout.close()


def _next_value(listener: subprocess.Popen, event: str, node: str) -> float:
    """Return the value of the listener's next line, which has to be ``event``."""
    ready, _, _ = select.select([listener.stdout], [], [], TIMEOUT)
    line = listener.stdout.readline() if ready else ""
    if not line:
        raise RuntimeError(f"no message from {node} within {TIMEOUT:.0f} s; expected {event}")
    return json.loads(line)[event]


def torch_libraries(pid: int) -> list[str]:
    """Return the names of torch's shared libraries that a process has mapped."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    files = {line.split(maxsplit=5)[5] for line in maps.splitlines() if len(line.split(maxsplit=5)) == 6}
    return sorted({Path(f).name for f in files if Path(f).name.startswith(("libtorch", "libc10"))})
