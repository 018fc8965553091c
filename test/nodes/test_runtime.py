# SPDX-License-Identifier: Apache-2.0
"""What is raised because the context went away ends a node quietly; everything else is raised."""

import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor

from evitsam_ros.nodes.runtime import spin

from .harness import Process, next_domain

PROGRAM = """
    import sys
    import rclpy
    from evitsam_ros.nodes.runtime import ros

    with ros([]):
        if sys.argv[1] == "down":
            rclpy.shutdown()
        raise RuntimeError("publisher's context is invalid")
    print("ended")
"""


@pytest.mark.parametrize(("context", "code"), [("down", 0), ("up", 1)])
def test_only_errors_of_a_running_context_are_errors(context, code):
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), context]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == code, done.stderr
    assert ("ended" in done.stdout) == (code == 0)
    assert ("context is invalid" in done.stderr) == (code == 1)


RAISING = """
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from evitsam_ros.nodes.runtime import ros, spin

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


def test_an_exception_of_a_callback_is_reported_and_the_node_continues():
    command = [sys.executable, "-c", textwrap.dedent(RAISING)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['tick 1', 'tick 2', 'tick 3', 'tick 4']"


EARLY = """
    import os
    import signal
    import rclpy
    from evitsam_ros.nodes.runtime import ros

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
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout.strip()) == (0, "ends"), done.stderr


TWICE = """
    import os
    import signal
    from evitsam_ros.nodes.runtime import ros

    with ros([]):
        os.kill(os.getpid(), signal.SIGINT)

    class Last:
        # Raises the signal when the interpreter has given up its own handlers.
        def __init__(self):
            self.kill = os.kill, os.getpid(), NUMBER

        def __del__(self):
            call, *rest = self.kill
            call(*rest)

    import sys
    sys.last = Last()
    print("ended", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_while_the_interpreter_ends_is_ignored(number):
    command = [sys.executable, "-c", textwrap.dedent(TWICE).replace("NUMBER", str(int(number)))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert (done.returncode, done.stdout.strip()) == (0, "ended"), done.stderr


@pytest.mark.parametrize("node", ["segmenter", "camera", "compose", "profiler"])
def test_ctrl_c_while_modules_are_imported_ends_quietly(node):
    code = f"""
        import os, signal, sys

        class Interrupt:
            # Comes while the first module of the node is imported.
            def find_spec(self, name, path=None, target=None):
                if name == "rclpy":
                    os.kill(os.getpid(), signal.SIGINT)

        import evitsam_ros.start
        sys.meta_path.insert(0, Interrupt())
        sys.exit(evitsam_ros.start.{node}())
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


CONFIGURING = """
    import os
    import signal
    import sys
    import time
    from evitsam_ros.nodes import segmenter
    from evitsam_ros.segment import Segmenter

    opened = Segmenter.open

    def slow(*args, **options):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1.0)
        return opened(*args, **options)

    Segmenter.open = slow
    sys.exit(segmenter.main([*sys.argv, "--ros-args", "-p", "backend:=onnxruntime"]))
"""


def test_ctrl_c_while_the_segmenter_configures_ends_quietly(known_bundle):
    code = textwrap.dedent(CONFIGURING)
    command = [sys.executable, "-c", code, "--ros-args", "-p", f"model:={known_bundle}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr and "configure" not in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("extra", "text"),
    [
        (("-r", "image:=/bad topic"), "image:=/bad topic"),
        (("--params-file", "/nowhere.yaml"), "/nowhere.yaml"),
        (("-p", "rate:=fast"), "rate"),
        (("-r", "__ns:=/1st"), "1st"),
    ],
)
def test_unusable_ros_arguments_end_with_one_line(tmp_path, extra, text):
    process = Process("camera", next_domain(), tmp_path / "log", {}, extra)
    assert process.process.wait(timeout=900) == 2, process.output
    (line,) = [line for line in process.output.splitlines() if line.startswith("camera: ")]
    assert text in line and "Traceback" not in process.output


def test_spinning_ends_when_the_context_goes_down_without_waking_the_executor():
    """rclpy's signal handler may do so: the executor, which has no timers, is in no callback then."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=next_domain())
    executor = SingleThreadedExecutor(context=context)
    node = rclpy.create_node("waits", context=context)
    executor.add_node(node)
    spinning = threading.Thread(target=spin, args=(executor, print), daemon=True)
    spinning.start()
    time.sleep(0.5)
    with context.handle:
        context.handle.shutdown()  # without the callbacks that wake executors
    spinning.join(60)
    assert not spinning.is_alive()
    executor.shutdown()
    node.destroy_node()
