# SPDX-License-Identifier: Apache-2.0
"""Run the suites of the benchmark one after the other, each in a process of its own.

Threads, memory and settings of one suite do not affect the next. ``python -m bench.suites NAME OUT`` is such
a process; it writes its figures as JSON.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from evitsam_ros.profiler.collect import report_of
from evitsam_ros.profiler.peak_rates import cpus
from evitsam_ros.profiler.schema import suite_as_json, suite_from_json
from evitsam_ros.profiler.sensors import Watch

from .workload import FULL, QUICK

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from evitsam_ros.profiler.measurements import Suite
    from evitsam_ros.profiler.report import Report

#: Seconds after which a suite is considered hung.
TIMEOUT = 3600


@dataclass(frozen=True)
class SuiteSpec:
    """A suite: its function, and its duration in seconds on two quiet cores, in full and quick."""

    module: str
    function: str
    seconds: int
    quick_seconds: int


SUITES = {
    "networks": SuiteSpec("segmenter_suites", "networks", 50, 15),
    "everything": SuiteSpec("segmenter_suites", "everything", 560, 15),
    "l0": SuiteSpec("box_mask", "box_mask", 60, 20),
    "mobile_sam": SuiteSpec("box_mask", "mobile_sam", 75, 20),
    "family": SuiteSpec("family", "family", 900, 150),
    "default": SuiteSpec("default_model", "default_model", 60, 25),
    "semantic": SuiteSpec("semantic", "semantic", 90, 10),
    "ros": SuiteSpec("ros.cost", "ros_cost", 150, 25),
    "start": SuiteSpec("start", "start", 90, 15),
    "timers": SuiteSpec("segmenter_suites", "timers", 10, 5),
    "fleet": SuiteSpec("fleet", "fleet", 420, 45),
}


def measure(name: str, *, quick: bool) -> Suite:
    """Run a suite in this process."""
    spec = SUITES[name]
    module = import_module(f".{spec.module}", __package__)
    return getattr(module, spec.function)(QUICK if quick else FULL)


def expected_seconds(names: Sequence[str], *, quick: bool) -> int:
    """Return the duration of suites on two quiet cores."""
    return sum(SUITES[name].quick_seconds if quick else SUITES[name].seconds for name in names)


def run(suites: Sequence[str], progress: Callable[[str], None], *, quick: bool) -> Report:
    """Measure suites. One that fails is listed in :attr:`Report.failed`.

    Args:
        suites: their names.
        progress: called with the name of each suite before it starts.
        quick: whether to measure coarsely.
    """
    os.environ.setdefault("ROS_DOMAIN_ID", str(40 + os.getpid() % 50))
    found: dict[str, Suite] = {}
    failed: dict[str, str] = {}
    with Watch(cpus()) as watch:
        for name in suites:
            progress(name)
            try:
                found[name] = _run_in_process(name, quick=quick)
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                failed[name] = str(error)
            watch.sample()
    words = ["python", "-m", "bench", *(["--quick"] if quick else []), "--suites", *suites]
    return report_of(shlex.join(words), watch, settings={"quick": quick}, suites=found, failed=failed)


def _run_in_process(name: str, *, quick: bool) -> Suite:
    """Run a suite in a process of its own, and stop every process that it started."""
    flags = ["--quick"] if quick else []
    with tempfile.NamedTemporaryFile("r") as out, tempfile.TemporaryFile("w+") as log:
        command = [sys.executable, "-m", "bench.suites", name, out.name, *flags]
        process = subprocess.Popen(command, stdout=sys.stderr, stderr=log, start_new_session=True)
        try:
            code = process.wait(TIMEOUT)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.seek(0)
        text, errors = out.read(), log.read()
    if code or not text:
        raise RuntimeError(f"exited with {code}: {errors.strip()[-1500:]}")
    return suite_from_json(json.loads(text))


def main(name: str, out: str, *flags: str) -> int:
    """Measure one suite and write its figures to the file ``out``."""
    Path(out).write_text(json.dumps(suite_as_json(measure(name, quick="--quick" in flags))))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
