# SPDX-License-Identifier: Apache-2.0
"""Start and end rclpy; Ctrl-C and SIGTERM end it without errors."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TypeVar

import rclpy
from rclpy.exceptions import NameValidationException, ParameterException
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import uninstall_signal_handlers

SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: Exit code of a program with unusable arguments or parameters.
UNUSABLE = 2
#: Seconds after which a waiting executor looks whether the context is down.
WAKE_EVERY = 1.0

Made = TypeVar("Made")


@contextmanager
def ros(args: list[str] | None = None) -> Iterator[None]:
    """Initialise rclpy; at SIGINT or SIGTERM the executor's ``spin`` returns and the block is left.

    rclpy's own handlers shut the context down and then call the ones that were there before. Python's for
    SIGINT would raise KeyboardInterrupt at any place of the program, in its clean-up too. Failures after the
    context is down (a timer that was about to publish) are not errors. After the block both signals are
    ignored, as the program is about to end.

    Raises:
        SystemExit: the ROS arguments cannot be used; stderr has a line.
    """
    received: list[int] = []
    for number in SIGNALS:
        signal.signal(number, lambda number, _: received.append(number))
    try:
        rclpy.init(args=args)
    except Exception as error:
        if not received:
            _end(Path(sys.argv[0]).stem, error)
    if received:  # before rclpy's handlers were installed
        shut_down()
    try:
        yield
    except Exception:
        if rclpy.ok():
            raise
    finally:
        shut_down()
        # Python takes its own handlers away before the process ends: a second signal would kill it.
        uninstall_signal_handlers()
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def shut_down() -> None:
    """Shut the default context down if it is not down yet.

    rclpy's signal handler shuts it down in a thread of its own, also between the check and the shutdown of
    ``rclpy.try_shutdown``, which then raises.
    """
    try:
        rclpy.try_shutdown()
    except Exception:
        if rclpy.ok():
            raise


def started(program: str, make: Callable[[], Made]) -> Made:
    """Make a node, or several; ``program`` is named in the error.

    Raises:
        SystemExit: a parameter or a name cannot be used; stderr has a line.
    """
    try:
        return make()
    except (ValueError, ParameterException, NameValidationException) as error:
        if not rclpy.ok():
            raise
        _end(program, error)


def spin_node(program: str, make: Callable[[], Node], args: list[str] | None = None) -> int:
    """Make a node without networks and spin it until the context shuts down; return the exit code.

    Raises:
        SystemExit: a parameter or a name cannot be used; stderr has a line.
    """
    with ros(args):
        node = started(program, make)
        try:
            spin_alone(node)
        finally:
            node.destroy_node()
    return 0


def spin_alone(node: Node) -> None:
    """Spin a node in an executor of its own until the context shuts down."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        _spin(executor)
    finally:
        executor.shutdown()


def _end(program: str, error: Exception) -> NoReturn:
    """Print one line and raise SystemExit."""
    text = " ".join(str(error).split())
    print(f"{program}: {text or type(error).__name__}", file=sys.stderr)
    raise SystemExit(UNUSABLE) from None


def _spin(executor: Executor) -> None:
    """Spin until the context shuts down, and look for that once a second.

    rclpy's signal handler may wake the executor just before it shuts the context down. An executor without
    timers then waits for its next message, and ``executor.spin`` would not return.
    """
    while executor.context.ok():
        executor.spin_once(timeout_sec=WAKE_EVERY)


def spin(executor: Executor, on_error: Callable[[Exception], None]) -> None:
    """Spin until the context shuts down; ``on_error`` is called with exceptions of callbacks."""
    while True:
        try:
            return _spin(executor)
        except Exception as error:
            if not executor.context.ok():
                raise
            on_error(error)
