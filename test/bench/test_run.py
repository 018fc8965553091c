# SPDX-License-Identifier: Apache-2.0
"""Test suites in processes of their own: their figures, failures, and that no process remains."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

import bench.suites as running
from bench.suites import SUITES, expected_seconds


def test_one_suite_is_measured_and_another_fails_with_its_reason():
    started = []
    report = running.run(["timers", "no_such_suite"], started.append, quick=True)
    assert started == ["timers", "no_such_suite"] and set(report.suites) == {"timers"}
    assert "KeyError: 'no_such_suite'" in report.failed["no_such_suite"]
    ratio = report.ratio("timers/share")
    assert 0 < ratio.value < 1 and len(ratio.samples) == 3
    assert report.machine["CPUs of this process"] and report.made_by["python"]
    assert report.command == "python -m bench --quick --suites timers no_such_suite"


def test_a_terminated_run_stops_its_processes(tmp_path):
    """Send SIGTERM, as `timeout` does, while a suite runs a child process."""
    (tmp_path / "long_suite.py").write_text(
        textwrap.dedent("""
        import subprocess, sys, time
        from pathlib import Path

        def long_suite(settings):
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
            Path(sys.argv[2]).with_name("child").write_text(str(child.pid))
            time.sleep(300)
        """)
    )
    code = f"""
        import sys, tempfile
        sys.path.insert(0, {str(tmp_path)!r})
        tempfile.tempdir = {str(tmp_path)!r}
        import bench.__main__ as command, bench.suites as running
        code = "import sys, bench.suites as s, long_suite;"
        code += "s.measure = lambda *_, **__: long_suite.long_suite(None); s.main(*sys.argv[1:])"
        popen = running.subprocess.Popen

        def start_suite(line, **rest):
            return popen([line[0], "-c", code, *line[3:]], **rest)

        running.subprocess.Popen = start_suite
        command.main(["--suites", "timers"])
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], env=environment)
    try:
        child, deadline = tmp_path / "child", time.monotonic() + 60
        while not (child.exists() and child.read_text()):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) != 0
        gone = int(child.read_text())
        while _alive(gone):
            assert time.monotonic() < deadline, "the suite's process still runs"
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()


def _alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(("quick", "low", "high"), [(False, 800, 2600), (True, 45, 360)])
def test_the_expected_duration_is_that_of_all_suites(quick, low, high):
    assert low <= expected_seconds(list(SUITES), quick=quick) <= high
