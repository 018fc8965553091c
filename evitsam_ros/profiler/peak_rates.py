# SPDX-License-Identifier: Apache-2.0
"""Measure the peak rates of this machine: multiply-adds per second of a float32 product, bytes of a copy.

Both are interleaved with the profiled work, so that they see the same state of the machine. They run in a
process of their own with the same number of threads, so that its threads and memory do not disturb that work.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from .gemm_peak import fastest
from .statistics import seconds

#: Bytes of the array that is copied: larger than caches.
COPY = 64 << 20
THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")


def cpus() -> int:
    """Return the number of CPUs that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class PeakRates:
    """The measuring process; a context manager.

    Attributes:
        threads: threads of the product and of the copy.
        library: library of the fastest product here.
        side: size of its matrices.
        macs_per_s: multiply-adds per second of each measurement.
        bytes_per_s: bytes per second of each measurement; a copied byte counts twice, read and written.
    """

    threads: int
    library: str = ""
    side: int = 0
    macs_per_s: list[float] = field(default_factory=list)
    bytes_per_s: list[float] = field(default_factory=list)

    def __enter__(self) -> PeakRates:
        environment = dict(os.environ) | dict.fromkeys(THREAD_VARIABLES, str(self.threads))
        # OpenBLAS's threads would go on spinning into the stages that are timed next.
        environment["OPENBLAS_THREAD_TIMEOUT"] = "4"
        package = str(Path(__file__).resolve().parents[2])
        environment["PYTHONPATH"] = os.pathsep.join([package, os.environ.get("PYTHONPATH", "")])
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(self.threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        answer = self._answer()
        self.library, self.side = answer["library"], answer["side"]
        return self

    def measure(self) -> None:
        """Measure the product and the copy once."""
        print(file=self._process.stdin, flush=True)
        answer = self._answer()
        self.macs_per_s.append(answer["macs_per_s"])
        self.bytes_per_s.append(2 * COPY / answer["copy_s"])

    def _answer(self) -> dict[str, Any]:
        line = cast("IO[str]", self._process.stdout).readline()
        if not line:
            raise RuntimeError(f"the process that measures the peak rates exited ({self._process.wait()})")
        return json.loads(line)

    def __exit__(self, *_: object) -> None:
        cast("IO[str]", self._process.stdin).close()
        self._process.wait(timeout=60)
        cast("IO[str]", self._process.stdout).close()


def main() -> None:
    """Measure once for every line on stdin, and print a line of JSON for each."""
    threads = int(sys.argv[1])
    product = fastest(threads)
    source, target = np.ones(COPY, np.uint8), np.ones(COPY, np.uint8)
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    print(json.dumps({"library": product.library, "side": product.side}), flush=True)
    with ThreadPoolExecutor(threads) as pool:
        for _ in sys.stdin:
            rate = product.macs_per_s()
            copy = seconds(lambda: list(pool.map(lambda part: np.copyto(*part), parts)))
            print(json.dumps({"macs_per_s": rate, "copy_s": copy}), flush=True)


if __name__ == "__main__":
    main()
