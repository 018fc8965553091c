# SPDX-License-Identifier: Apache-2.0
"""Measure contenders alternately, each in a process of its own.

All see the same state of the machine, and none the threads of another. With several runtimes in one process
the threads of one keep spinning while the next one is timed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import IO, TextIO, cast

from .peak_rates import PeakRates, cpus
from .statistics import seconds

Variants = dict[str, Callable[[], object]]


class Contender:
    """A process that runs one of its variants on request.

    Args:
        module: run as ``python -m``; it calls :func:`serve`.
        arguments: of the module.

    Attributes:
        variants: names of the variants.
        facts: facts that the process reported about itself.

    Raises:
        RuntimeError: the process exited before it was ready; its errors are on stderr.
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
        self.variants: list[str] = ready["variants"]
        self.facts: dict = ready["facts"]

    def seconds(self, variant: str) -> float:
        """Run a variant once; return its time by the monotonic clock of the process."""
        print(variant, file=self._process.stdin, flush=True)
        return self._answer()["seconds"]

    def _answer(self) -> dict:
        line = cast("IO[str]", self._process.stdout).readline()
        if not line:
            raise RuntimeError(f"{self.name} ended ({self._process.wait()})")
        return json.loads(line)

    def close(self) -> None:
        """Stop the process."""
        cast("IO[str]", self._process.stdin).close()
        self._process.wait(timeout=60)
        cast("IO[str]", self._process.stdout).close()

    def __enter__(self) -> Contender:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def own_stdout() -> TextIO:
    """Return the real stdout for answers, and redirect the output of libraries to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def serve(variants: Variants, answers: TextIO, facts: dict | None = None) -> None:
    """Run, in the process of a contender, the variant that each line of stdin names."""
    print(json.dumps({"variants": list(variants), "facts": facts or {}}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps({"seconds": seconds(variants[line.strip()])}), file=answers, flush=True)


def interleave(
    contenders: Sequence[Contender], variants: Sequence[str], rounds: int, warmup: int = 2
) -> tuple[dict[tuple[int, str], list[float]], list[float]]:
    """Run every variant of every contender once a round, and a matrix product after each round.

    Returns:
        Seconds by (number of the contender, variant), a value for each round; and the multiply-adds per
        second of the product in each round. The warm-up rounds are left out.
    """
    times: dict[tuple[int, str], list[float]] = {}
    with PeakRates(cpus()) as peak_rates:
        for _ in range(rounds + warmup):
            for variant in variants:
                for number, contender in enumerate(contenders):
                    if variant in contender.variants:
                        times.setdefault((number, variant), []).append(contender.seconds(variant))
            peak_rates.measure()
    return {key: taken[warmup:] for key, taken in times.items()}, peak_rates.macs_per_s[warmup:]
