# SPDX-License-Identifier: Apache-2.0
"""Time a call, and summarise timings."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PERCENTILES = (50, 90, 95, 99)
#: Min number of timings for a meaningful p99.
ENOUGH_RUNS = 100


def seconds(work: Callable[[], object]) -> float:
    """Return the duration of one call, by the monotonic clock of the host."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def summary(samples: Sequence[float], images: Sequence[int] | None = None) -> dict[str, float]:
    """Return p50, p90, p95, p99 (linear interpolation), max, mean and jitter, in the unit of the samples.

    Args:
        samples: one or more, in the order in which they were taken.
        images: number of the image of each sample; None: all the same.
    """
    values = np.asarray(samples, float)
    figures = {f"p{p}": float(np.percentile(values, p)) for p in PERCENTILES}
    figures |= {"max": float(values.max()), "mean": float(values.mean())}
    return figures | {"jitter": jitter(values, images)}


def best(rates: Sequence[float]) -> float:
    """Return the 90th percentile: other work on the machine does not lower a peak rate."""
    return float(np.percentile(np.asarray(rates, float), 90))


def jitter(samples: Sequence[float] | np.ndarray, images: Sequence[int] | None = None) -> float:
    """Return the mean absolute difference between consecutive runs of the same image; 0 for one run.

    Comparing runs of the same image excludes differences between images.
    """
    values = np.asarray(samples, float)
    of = np.zeros(len(values), int) if images is None else np.asarray(images)
    steps = [np.abs(np.diff(values[of == image])) for image in np.unique(of)]
    joined = np.concatenate(steps) if steps else np.zeros(0)
    return float(joined.mean()) if joined.size else 0.0
