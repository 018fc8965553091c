# SPDX-License-Identifier: Apache-2.0
"""Prepare a runtime beside a running node, which uses another one until it is ready."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

from ...threads import join_os_thread

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Opened = TypeVar("Opened")


def build_command(bundle: Path) -> list[str]:
    """Return the ``evitsam build`` command for the GPU of this machine."""
    return [sys.executable, "-m", "evitsam_ros.cli", "build", "--model", str(bundle)]


class EngineSwitch(Generic[Opened]):
    """Run a build, then open its engines, both outside the inference thread.

    Args:
        command: the build.
        open_: called after a successful build; :meth:`take` returns its result. None: the current runtime
            stays.
        failed: called with the reason of a failure, in one line.
        drop: closes a result that was not taken before :meth:`stop`.
        task: the purpose of the command, for messages.
    """

    def __init__(
        self,
        command: list[str],
        open_: Callable[[], Opened | None],
        failed: Callable[[str], None],
        drop: Callable[[Opened], None] = lambda opened: None,
        task: str = "the engine build",
    ) -> None:
        self._open, self._failed, self._drop, self._task = open_, failed, drop, task
        self._ready: Opened | None = None
        self._stopped = False
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._thread = threading.Thread(target=self._wait, name=task.removeprefix("the "), daemon=True)
        self._thread.start()

    def _wait(self) -> None:
        output, _ = self._process.communicate()
        if self._stopped:
            return
        if self._process.returncode:
            lines = [line for line in output.replace("\r", "\n").splitlines() if line.strip()]
            self._failed(f"{self._task} failed: {lines[-1] if lines else 'no output'}")
            return
        try:
            self._ready = self._open()
        except ValueError as error:
            self._failed(f"{self._task} succeeded, but its result cannot be opened: {error}")
        if self._stopped:
            self._drop_untaken()

    def take(self) -> Opened | None:
        """Return the opened engines once; None before they are ready and after the first call."""
        ready, self._ready = self._ready, None
        return ready

    def stop(self) -> None:
        """Stop a running build, and close engines that were not taken."""
        self._stopped = True
        if self._process.poll() is None:
            self._process.terminate()
        join_os_thread(self._thread, 10.0)
        self._drop_untaken()

    def _drop_untaken(self) -> None:
        if (opened := self.take()) is not None:
            self._drop(opened)
