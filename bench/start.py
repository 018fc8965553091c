# SPDX-License-Identifier: Apache-2.0
"""The part ``start``: process start to the first mask, imports, memory, and that torch is not in it."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from evitsam_ros.profiler.clock import seconds
from evitsam_ros.profiler.measurements import Figure, Part
from evitsam_ros.profiler.sensors import MIB, resident_mib

from .processes import background, environment, ros_arguments
from .settings import Settings

#: Of the robot's path what is not ours, and needed for any frame: SciPy is for tracking alone.
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
FLOOR = "import of what no frame can do without"
#: Where the astronaut's face is, in an image 640 pixels wide; masks after which memory is read.
CLICK, WIDTH, MASKS = ("281", "150"), 640, "20"
#: Seconds that a robot would not wait.
TOO_LONG = 120.0


@dataclass(frozen=True)
class Start:
    """One start of the segmenter: seconds until its topic was discovered and to the first mask, resident MB,
    and libraries of torch in it."""

    found: float
    seconds: float
    resident_mb: float
    peak_mb: float
    torch: list[str]


def start(settings: Settings) -> Part:
    """The part ``start``; starts, imports and their floor take turns."""
    imports = [import_seconds() for _ in range(settings.imports)]
    with camera():
        starts = [first_mask() for _ in range(settings.starts)]
    own, depends, nothing = map(list, zip(*imports, strict=True))
    own = [a - b for a, b in zip(own, nothing, strict=True)]
    depends = [a - b for a, b in zip(depends, nothing, strict=True)]
    part = Part()
    part.add(Figure("start/import", "import of the robot's path", "s", own, depends, FLOOR))
    # The import's median stands for the machine: the starts are fewer.
    floor = [sorted(depends)[len(depends) // 2]] * len(starts)
    taken = [s.seconds for s in starts]
    part.add(Figure("start/first mask", "process start to first mask", "s", taken, floor, FLOOR))
    # Networks and topics are there earlier: the rest is DDS's (README, "Numbers").
    part.add(Figure("start/found", "process start to its topic discovered", "s", [s.found for s in starts]))
    memory = [s.resident_mb for s in starts]
    part.figures.append(
        Figure("start/memory", f"resident memory after {MASKS} frames", "MB", memory, details=_peak(starts))
    )
    found = sorted({name for s in starts for name in s.torch})
    counts = [float(len(s.torch)) for s in starts]
    details = {"libraries": found}
    part.figures.append(Figure("start/torch", "torch's libraries in it", "", counts, details=details))
    part.notes.append(
        "start: the segmenter with the shipped bundle; a camera of 20 Hz is there and a click is sent as "
        "soon as its topic is, all with the shipped Fast DDS profile. The environment that make setup makes "
        "starts python twice; that is in it."
    )
    return part


def _peak(starts: list[Start]) -> dict[str, float]:
    return {"peak_mb": max(s.peak_mb for s in starts)}


def import_seconds() -> tuple[float, float, float]:
    """A fresh interpreter that imports the robot's path, what that depends on, and nothing."""

    def run(code: str) -> float:
        command = [sys.executable, "-c", code]
        return seconds(lambda: subprocess.run(command, env=environment(), check=True))

    ours = ", ".join((NODE, *RUNTIMES))
    return run(f"import {ours}"), run(f"import {', '.join(DEPENDENCIES)}"), run("pass")


@contextmanager
def camera(source: str = "skimage:astronaut"):
    """The camera node, for the time of the block."""
    parameters = {"source": source, "rate": 20.0, "width": WIDTH}
    with background("evitsam_ros.nodes.camera", *ros_arguments(parameters)) as running:
        yield running


def first_mask(bundle: str = "lite_sam") -> Start:
    """Start the segmenter beside a camera that runs; see :class:`Start`.

    Raises:
        RuntimeError: no image or no mask came, with what the segmenter said.
    """
    command = [sys.executable, "-m", "bench.ros.first_mask", *CLICK, MASKS]
    listener = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        _heard(listener, "images", "the camera")
        began = time.monotonic()
        with background(NODE, *ros_arguments({"model": bundle})) as segmenter:
            try:
                found = _heard(listener, "found", "the segmenter")
                first = _heard(listener, "first", "the segmenter")
                _heard(listener, "masks", "the segmenter")
            except RuntimeError as error:
                raise RuntimeError(f"{error}:\n{segmenter.said()}") from error
            pid = segmenter.process.pid
            resident = {name: mib * MIB / 1e6 for name, mib in resident_mib(pid=pid).items()}
            return Start(
                found - began, first - began, resident["now"], resident["peak"], torch_libraries(pid)
            )
    finally:
        listener.terminate()
        listener.wait(timeout=20)
        listener.stdout.close()


def _heard(listener: subprocess.Popen, what: str, whose: str) -> float:
    """The value of the listener's next line, which has to be ``what``."""
    ready, _, _ = select.select([listener.stdout], [], [], TOO_LONG)
    line = listener.stdout.readline() if ready else ""
    if not line:
        raise RuntimeError(f"nothing came from {whose} within {TOO_LONG:.0f} s; expected {what}")
    return json.loads(line)[what]


def torch_libraries(pid: int) -> list[str]:
    """The shared libraries of torch that a process has mapped."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    files = {line.split(maxsplit=5)[5] for line in maps.splitlines() if len(line.split(maxsplit=5)) == 6}
    return sorted({Path(f).name for f in files if Path(f).name.startswith(("libtorch", "libc10"))})
