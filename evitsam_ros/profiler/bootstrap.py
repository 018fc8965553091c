# SPDX-License-Identifier: Apache-2.0
"""Compute confidence intervals of ratios of medians by the bootstrap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

RESAMPLES = 4000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Ratio:
    """``value`` is median B / median A; ``low`` and ``high`` bound it with 95 % confidence."""

    value: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Return ``faster``, ``slower`` or ``cannot tell`` for B against A, both times."""
        return "faster" if self.high < 1 else "slower" if self.low > 1 else "cannot tell"


def ratio_of_medians(a: Sequence[float], b: Sequence[float], *, paired: bool, seed: int = 0) -> Ratio:
    """Return the ratio with its percentile interval; equal samples give equal numbers.

    Neighbouring runs are alike, because clocks, heat and other work vary slowly. So whole blocks of
    neighbours are resampled, circularly: resampling single runs would make the interval too narrow.

    Args:
        a: positive timings in the order in which they were taken.
        b: the same, of the other program.
        paired: whether the n-th samples of both belong together and are resampled together.
        seed: of the resampling.

    Raises:
        ValueError: paired samples have different lengths, samples are empty, or a median is not positive.
    """
    first, second = np.asarray(a, float), np.asarray(b, float)
    if not len(first) or not len(second) or (paired and len(first) != len(second)):
        raise ValueError(f"{len(first)} and {len(second)} samples cannot be compared (paired: {paired})")
    if np.median(first) <= 0 or np.median(second) <= 0:
        raise ValueError("a median is not positive: expected timings")
    rng = np.random.default_rng(seed)
    drawn = _drawn(len(first), rng)
    medians = np.median(first[drawn], axis=1)
    others = np.median(second[drawn if paired else _drawn(len(second), rng)], axis=1)
    tail = (1 - CONFIDENCE) / 2
    # A resample of mostly zeros has no ratio.
    ratios = others[medians > 0] / medians[medians > 0]
    low, high = np.quantile(ratios, [tail, 1 - tail])
    return Ratio(float(np.median(second) / np.median(first)), float(low), float(high))


def block_length(count: int) -> int:
    """Return the number of samples per block: the cube root of their number, the usual rate."""
    return max(1, round(count ** (1 / 3)))


def _drawn(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return ``(RESAMPLES, count)`` indices in blocks of neighbours."""
    length = block_length(count)
    starts = rng.integers(0, count, (RESAMPLES, -(-count // length)))
    blocks = (starts[..., None] + np.arange(length)) % count
    return blocks.reshape(RESAMPLES, -1)[:, :count]
