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


RAISING = """
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from evitsam_ros.nodes.lifetime import ros, spin

    calls, failures = [], []

    def tick():
        calls.append(1)
        if len(calls) == 5:
            rclpy.shutdown()
        raise ValueError(f"tick {len(calls)}")

    with ros([]):
        node = rclpy.create_node("raising")
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        node.create_timer(0.01, tick)
        spin(executor, lambda error: failures.append(str(error)))
    print(failures)
"""


def test_a_callback_that_raises_is_told_and_the_node_goes_on():
    command = [sys.executable, "-c", textwrap.dedent(RAISING)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['tick 1', 'tick 2', 'tick 3', 'tick 4']"


EARLY = """
    import os
    import signal
    import rclpy
    from evitsam_ros.nodes.lifetime import ros

    init = rclpy.init

    def slow_init(args):
        os.kill(os.getpid(), signal.SIGINT)
        init(args=args)

    rclpy.init = slow_init
    with ros([]):
        print("goes on" if rclpy.ok() else "ends")
"""


def test_ctrl_c_while_ros_starts_is_not_lost():
    command = [sys.executable, "-c", textwrap.dedent(EARLY)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "ends"), done.stderr
