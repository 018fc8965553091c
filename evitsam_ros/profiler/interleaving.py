# SPDX-License-Identifier: Apache-2.0
"""Rivals take turns, each in a process of its own: all see the same machine, none the other's threads.

With several runtimes in one process the threads of one go on spinning into the next one's time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import TextIO

from evitsam_ros.profiler.ceilings import Ceilings, cpus
from evitsam_ros.profiler.clock import seconds

Ways = dict[str, Callable[[], object]]


class Rival:
    """A process that can do several things, one at a time, when it is told.

    Args:
        module: run as ``python -m``; it calls :func:`serve`.
        arguments: of it.

    Attributes:
        ways: the names of what it can do.

    Raises:
        RuntimeError: it ended before it was ready; what it said is on stderr.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        command = [sys.executable, "-m", module, *arguments]
        self.name = " ".join(command[2:])
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            ready = self._answer()
        except RuntimeError:
            self.close()
            raise
        self.ways: list[str] = ready["ways"]
        self.facts: dict = ready["facts"]

    def seconds(self, way: str) -> float:
        """Do it once; how long it took by the process's own monotonic clock."""
        print(way, file=self._process.stdin, flush=True)
        return self._answer()["seconds"]

    def _answer(self) -> dict:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended ({self._process.wait()})")
        return json.loads(line)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()

    def __enter__(self) -> Rival:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def own_stdout() -> TextIO:
    """The real stdout for answers; whatever libraries print goes to stderr from now on."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def serve(ways: Ways, answers: TextIO, facts: dict | None = None) -> None:
    """In the rival's process: do what each line of stdin names, until it ends."""
    print(json.dumps({"ways": list(ways), "facts": facts or {}}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps({"seconds": seconds(ways[line.strip()])}), file=answers, flush=True)


def take_turns(
    rivals: Sequence[Rival], ways: Sequence[str], turns: int, warmup: int = 2
) -> tuple[dict[tuple[int, str], list[float]], list[float]]:
    """Every rival does every way in every turn, and a matrix product is measured after each.

    Returns:
        Seconds by (number of the rival, way), a value a turn; and the product's multiply-adds a second of
        each turn. Without those of the turns that warm up.
    """
    times: dict[tuple[int, str], list[float]] = {}
    with Ceilings(cpus()) as ceilings:
        for _ in range(turns + warmup):
            for way in ways:
                for number, rival in enumerate(rivals):
                    if way in rival.ways:
                        times.setdefault((number, way), []).append(rival.seconds(way))
            ceilings.measure()
    return {key: taken[warmup:] for key, taken in times.items()}, ceilings.macs_per_s[warmup:]
