# SPDX-License-Identifier: Apache-2.0
"""Run processes beside the measuring one, and stop them at the end of the block that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evitsam_ros.nodes.fastdds import VARIABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def environment() -> dict[str, str]:
    """Return the environment of a child process, without a Fast DDS profile of the parent.

    The ROS wheels restart Python once and mark it in the environment; a child has to restart again.
    """
    dropped = (*VARIABLES, "_ROS_WHEELS_BOOTSTRAP_COMPLETE")
    return {name: value for name, value in os.environ.items() if name not in dropped}


@dataclass
class Background:
    """A running process, and the file with its output."""

    process: subprocess.Popen
    log: Path

    def log_tail(self, lines: int = 12) -> str:
        """Return the last lines of the output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """Send SIGINT, and kill the process if it does not stop."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def background(module: str, *arguments: str) -> Iterator[Background]:
    """Run ``python -m module arguments`` for the duration of the block."""
    with tempfile.NamedTemporaryFile("w", suffix=".log") as log:
        command = [sys.executable, "-m", module, *arguments]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment())
        running = Background(process, Path(log.name))
        try:
            yield running
        finally:
            running.stop()


def ros_arguments(parameters: dict[str, object], remaps: Sequence[str] = ()) -> list[str]:
    """Return ``--ros-args`` with parameters, and with remappings given as ``from:=to``."""
    parameters_given = [
        argument for name, value in parameters.items() for argument in ("-p", f"{name}:={value}")
    ]
    return ["--ros-args", *parameters_given, *(argument for remap in remaps for argument in ("-r", remap))]
