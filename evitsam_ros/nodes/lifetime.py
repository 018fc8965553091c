# SPDX-License-Identifier: Apache-2.0
"""rclpy from its start to its end, ended without noise by Ctrl-C and by SIGTERM."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import rclpy
from rclpy.executors import Executor


@contextmanager
def ros(args: list[str] | None = None) -> Iterator[None]:
    """Initialise rclpy; at SIGINT or SIGTERM the executor's ``spin`` returns and the block is left.

    rclpy's own handlers shut the context down and then call the ones that were there before. Python's for
    SIGINT would raise KeyboardInterrupt wherever the program happens to be, in its clean-up too. What fails
    once the context is down (a timer that was about to publish) fails because of that, and is no error.
    """
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: asked.append(number))
    rclpy.init(args=args)
    if asked:  # before rclpy's handlers were there
        rclpy.try_shutdown()
    try:
        yield
    except Exception:
        if rclpy.ok():
            raise
    finally:
        rclpy.try_shutdown()


def spin(executor: Executor, failed: Callable[[Exception], None]) -> None:
    """Spin until the context goes down. What a callback raises is told, and ends nothing."""
    while True:
        try:
            return executor.spin()
        except Exception as error:
            if not executor.context.ok():
                raise
            failed(error)
