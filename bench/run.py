# SPDX-License-Identifier: Apache-2.0
"""All parts of the benchmark, one after the other, each in a process of its own."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress

from evitsam_ros.profiler.ceilings import cpus
from evitsam_ros.profiler.collect import report_of
from evitsam_ros.profiler.measurements import Part
from evitsam_ros.profiler.report import Report
from evitsam_ros.profiler.schema import part_from_json
from evitsam_ros.profiler.sensors import Watch

#: A part that takes longer hangs.
TIMEOUT = 1800


def run(parts: Sequence[str], quick: bool, progress: Callable[[str], None]) -> Report:
    """Measure the parts; one that fails is told in :attr:`Report.failed`.

    Args:
        progress: told the name of each part before it starts.
    """
    os.environ.setdefault("ROS_DOMAIN_ID", str(40 + os.getpid() % 50))
    found: dict[str, Part] = {}
    failed: dict[str, str] = {}
    with Watch(cpus()) as watch:
        for name in parts:
            progress(name)
            try:
                found[name] = _run(name, quick)
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                failed[name] = str(error)
            watch.sample()
    words = ["python", "-m", "bench", *(["--quick"] if quick else []), "--parts", *parts]
    return report_of(shlex.join(words), watch, settings={"quick": quick}, parts=found, failed=failed)


def _run(name: str, quick: bool) -> Part:
    """One part; whatever it has started ends with it, however it ends."""
    flags = ["--quick"] if quick else []
    with tempfile.NamedTemporaryFile("r") as out, tempfile.TemporaryFile("w+") as said:
        command = [sys.executable, "-m", "bench.part", name, out.name, *flags]
        process = subprocess.Popen(command, stdout=sys.stderr, stderr=said, start_new_session=True)
        try:
            code = process.wait(TIMEOUT)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said.seek(0)
        text, errors = out.read(), said.read()
    if code or not text:
        raise RuntimeError(f"ended with {code}: {errors.strip()[-1500:]}")
    return part_from_json(json.loads(text))
