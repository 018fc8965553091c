# SPDX-License-Identifier: Apache-2.0
"""Processes that run beside the measuring one and end with the block that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from evitsam_ros.nodes.fastdds import VARIABLES


def environment() -> dict[str, str]:
    """Of a child: no Fast DDS profile but the one that it takes itself.

    The ROS wheels start python once more and remember it here; a child has to do that anew.
    """
    dropped = (*VARIABLES, "_ROS_WHEELS_BOOTSTRAP_COMPLETE")
    return {name: value for name, value in os.environ.items() if name not in dropped}


@dataclass
class Background:
    """A running process and the file that has its output."""

    process: subprocess.Popen
    log: Path

    def said(self, lines: int = 12) -> str:
        """The end of its output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """As Ctrl-C does; kill it when that does not help."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def background(module: str, *arguments: str) -> Iterator[Background]:
    """``python -m module arguments`` for the time of the block."""
    with tempfile.NamedTemporaryFile("w", suffix=".log") as log:
        command = [sys.executable, "-m", module, *arguments]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment())
        running = Background(process, Path(log.name))
        try:
            yield running
        finally:
            running.stop()


def ros_arguments(parameters: dict[str, object], remaps: Sequence[str] = ()) -> list[str]:
    """``--ros-args`` with parameters, and remappings as ``from:=to``."""
    given = [part for name, value in parameters.items() for part in ("-p", f"{name}:={value}")]
    return ["--ros-args", *given, *(part for remap in remaps for part in ("-r", remap))]
