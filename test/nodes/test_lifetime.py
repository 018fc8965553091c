# SPDX-License-Identifier: Apache-2.0
"""What is raised because the context went away ends a node quietly; everything else is raised."""

import subprocess
import sys
import textwrap

import pytest

PROGRAM = """
    import sys
    import rclpy
    from evitsam_ros.nodes.lifetime import ros

    with ros([]):
        if sys.argv[1] == "down":
            rclpy.shutdown()
        raise RuntimeError("publisher's context is invalid")
    print("ended")
"""


@pytest.mark.parametrize(("context", "code"), [("down", 0), ("up", 1)])
def test_only_errors_of_a_running_context_are_errors(context, code):
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), context]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    assert ("ended" in done.stdout) == (code == 0)
    assert ("context is invalid" in done.stderr) == (code == 1)
