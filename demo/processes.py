# SPDX-License-Identifier: Apache-2.0
"""The nodes of the demo as processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class NodeProcess:
    """``python -m evitsam_ros.nodes.<name>`` with flags and parameters; its output goes to a log file."""

    def __init__(
        self, name: str, log: Path, parameters: dict[str, object], flags: tuple[str, ...] = ()
    ) -> None:
        self.name, self.log = name, log
        given = [part for key, value in parameters.items() for part in ("-p", f"{key}:={value}")]
        command = [sys.executable, "-m", f"evitsam_ros.nodes.{name}", *flags, "--ros-args", *given]
        # The ROS wheels re-execute python once and remember it here; a child has to do it anew.
        environment = {k: v for k, v in os.environ.items() if k != "_ROS_WHEELS_BOOTSTRAP_COMPLETE"}
        with log.open("w") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment)

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def tail(self, lines: int = 15) -> str:
        text = self.log.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join(f"  {self.name}| {line}" for line in text)

    def stop(self) -> None:
        """Ask it to end; kill it when it does not."""
        if self.running:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
