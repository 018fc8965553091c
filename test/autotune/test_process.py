# SPDX-License-Identifier: Apache-2.0
"""The measuring process ends in time, whatever takes long in it."""

import os
import subprocess
import sys

from evitsam_ros.backends.choice import read_choice
from evitsam_ros.bundle import open_bundle


def test_a_step_that_takes_too_long_is_ended_and_noted(bundle_folder, tmp_path, monkeypatch):
    """The timer strikes in a step; the process ends well, and the networks are noted as not measured."""
    code = (
        "import sys, time; from evitsam_ros.autotune import __main__ as process, bench\n"
        "process.RESERVE_S = process.BUDGET_S - time.process_time() - 0.5\n"
        "def race(*_):\n"
        "    while True:\n"
        "        pass\n"
        "bench.Bench.race = race\n"
        "sys.exit(process.main(sys.argv[1]))"
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    command = [sys.executable, "-c", code, str(bundle_folder)]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    choice = read_choice(open_bundle(str(bundle_folder)))
    assert choice is not None and choice.attempts == 1 and not choice.backends
    assert choice.unsettled["encoder"] == "a step took longer than planned"
    assert "a step took longer than planned" in done.stdout
