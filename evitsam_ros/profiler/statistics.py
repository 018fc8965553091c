# SPDX-License-Identifier: Apache-2.0
"""The figures of a row of timings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

PERCENTILES = (50, 90, 95, 99)
#: Timings below this many say little about a p99.
ENOUGH_RUNS = 100


def summary(samples: Sequence[float], pictures: Sequence[int] | None = None) -> dict[str, float]:
    """p50, p90, p95, p99 (linear interpolation), max, mean and jitter, in the unit of the samples.

    Args:
        samples: at least one, in the order in which they were taken.
        pictures: which picture each belongs to; all the same when None.
    """
    values = np.asarray(samples, float)
    figures = {f"p{p}": float(np.percentile(values, p)) for p in PERCENTILES}
    figures |= {"max": float(values.max()), "mean": float(values.mean())}
    return figures | {"jitter": jitter(values, pictures)}


def best(rates: Sequence[float]) -> float:
    """What the best tenth of the measurements reaches: who else is at work does not lower a ceiling."""
    return float(np.percentile(np.asarray(rates, float), 90))


def jitter(samples: Sequence[float] | np.ndarray, pictures: Sequence[int] | None = None) -> float:
    """Mean absolute difference between a run and the run before it of the same picture; 0 for one run.

    Comparing within a picture leaves out what differs because the pictures do.
    """
    values = np.asarray(samples, float)
    of = np.zeros(len(values), int) if pictures is None else np.asarray(pictures)
    steps = [np.abs(np.diff(values[of == picture])) for picture in np.unique(of)]
    joined = np.concatenate(steps) if steps else np.zeros(0)
    return float(joined.mean()) if joined.size else 0.0
