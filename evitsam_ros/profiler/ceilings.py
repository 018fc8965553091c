# SPDX-License-Identifier: Apache-2.0
"""What this machine can do at most: multiply-adds of a float32 matrix product, bytes of a copy, a second.

Both are measured in turns with what is profiled, so that they see the same machine, but in a process of their
own: with the same number of threads, without its threads or its memory in the way of the profiled ones.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

#: Side of the square matrices of the floor's product where a fixed one is wanted.
PRODUCT = 2048
#: A product that takes this long is not all overhead.
LONG_ENOUGH_S = 0.01
SIDES = (512, 1024, 2048, 4096)
#: Bytes of the array that is copied: larger than caches.
COPY = 64 << 20
THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")


def seconds(work: Callable[[], object]) -> float:
    """Of the monotonic clock."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def floor_seconds(macs: float, matrix: np.ndarray) -> float:
    """What a matrix product of so many multiply-adds takes now (NumPy's BLAS, float32)."""
    return seconds(lambda: matrix @ matrix) / len(matrix) ** 3 * macs


def cpus() -> int:
    """CPUs that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class Ceilings:
    """The measuring process; a context manager.

    Attributes:
        threads: of the product and of the copy.
        side: of the matrices.
        macs_per_s, bytes_per_s: a value for each measurement; a copied byte counts twice, read and written.
    """

    threads: int
    side: int = 0
    macs_per_s: list[float] = field(default_factory=list)
    bytes_per_s: list[float] = field(default_factory=list)

    def __enter__(self) -> Ceilings:
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
        self.side = self._answer()["side"]
        return self

    def measure(self) -> None:
        """One product and one copy, now."""
        print(file=self._process.stdin, flush=True)
        told = self._answer()
        self.macs_per_s.append(self.side**3 / told["product_s"])
        self.bytes_per_s.append(2 * COPY / told["copy_s"])

    def _answer(self) -> dict[str, float]:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process that measures the ceilings ended ({self._process.wait()})")
        return json.loads(line)

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()


def main() -> None:
    """Measure once for every line on stdin; a line of JSON for each."""
    threads = int(sys.argv[1])
    rng = np.random.default_rng(0)
    for side in SIDES:
        matrix = rng.standard_normal((side, side), np.float32)
        matrix @ matrix
        if min(seconds(lambda matrix=matrix: matrix @ matrix) for _ in range(3)) > LONG_ENOUGH_S:
            break
    source, target = np.ones(COPY, np.uint8), np.ones(COPY, np.uint8)
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    print(json.dumps({"side": side}), flush=True)
    with ThreadPoolExecutor(threads) as pool:
        for _ in sys.stdin:
            product = seconds(lambda: matrix @ matrix)
            copy = seconds(lambda: list(pool.map(lambda part: np.copyto(*part), parts)))
            print(json.dumps({"product_s": product, "copy_s": copy}), flush=True)


if __name__ == "__main__":
    main()
