# SPDX-License-Identifier: Apache-2.0
"""Start the nodes and the command line. Ctrl-C ends them without a traceback, also during imports."""

from __future__ import annotations

import os
import signal
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

#: Exit code after Ctrl-C, as of a shell.
INTERRUPTED = 128 + signal.SIGINT


def _imported(module: str) -> ModuleType:
    # Not KeyboardInterrupt: imported modules turn it into errors of their own.
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    return import_module(f"evitsam_ros.{module}")


def _run(node: str) -> int:
    return _imported(f"nodes.{node}").main()


def evitsam() -> int:
    """Run the command line."""
    before = signal.getsignal(signal.SIGINT)
    program = _imported("cli.program")
    signal.signal(signal.SIGINT, before)
    return program.main()


def segmenter() -> int:
    """Run the node ``segmenter``."""
    return _run("segmenter")


def semantic() -> int:
    """Run the node ``semantic``."""
    return _run("semantic")


def camera() -> int:
    """Run the node ``camera``."""
    return _run("camera")


def profiler() -> int:
    """Run the node ``profiler``."""
    return _run("profiler")


def detections_converter() -> int:
    """Run the node ``detections_converter``."""
    return _run("detections_converter")


def compose() -> int:
    """Run camera and segmenter in one process."""
    return _run("compose")


def web() -> int:
    """Run the node ``web``."""
    return _run("web")
