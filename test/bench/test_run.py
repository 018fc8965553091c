# SPDX-License-Identifier: Apache-2.0
"""Parts in processes of their own: what they find, how they fail, and that nothing of them is left."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

import bench.run as running
from bench.part import PARTS, expected_seconds


def test_a_part_is_measured_and_another_fails_with_its_reason():
    told = []
    report = running.run(["timers", "no_such_part"], quick=True, progress=told.append)
    assert told == ["timers", "no_such_part"] and set(report.parts) == {"timers"}
    assert "KeyError: 'no_such_part'" in report.failed["no_such_part"]
    ratio = report.ratio("timers/share")
    assert 0 < ratio.value < 1 and len(ratio.samples) == 3
    assert report.machine["CPUs of this process"] and report.made_by["python"]
    assert report.command == "python -m bench --quick --parts timers no_such_part"


def test_a_run_that_is_ended_takes_everything_with_it(tmp_path):
    """SIGTERM, as `timeout` sends it, while a part has a process of its own running."""
    (tmp_path / "long_part.py").write_text(
        textwrap.dedent("""
        import subprocess, sys, time
        from pathlib import Path

        def long_part(settings):
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
            Path(sys.argv[2]).with_name("child").write_text(str(child.pid))
            time.sleep(300)
        """)
    )
    code = f"""
        import sys, tempfile
        sys.path.insert(0, {str(tmp_path)!r})
        tempfile.tempdir = {str(tmp_path)!r}
        import bench.__main__ as command, bench.run as running
        code = "import sys, bench.part as p, long_part; p.measure = lambda *_: long_part.long_part(None);"
        code += " p.main(*sys.argv[1:])"
        popen = running.subprocess.Popen

        def part(line, **rest):
            return popen([line[0], "-c", code, *line[3:]], **rest)

        running.subprocess.Popen = part
        command.main(["--parts", "timers"])
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
            assert time.monotonic() < deadline, "the part's process goes on"
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()


def _alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(("quick", "least", "most"), [(False, 800, 1100), (True, 45, 130)])
def test_how_long_it_says_that_it_takes(quick, least, most):
    assert least <= expected_seconds(list(PARTS), quick) <= most
