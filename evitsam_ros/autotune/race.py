# SPDX-License-Identifier: Apache-2.0
"""Decide which of several candidates is faster, from times that were taken in turns.

All candidates run once a turn, one after the other, so a busy neighbour slows all of them. The ratio of two
times of the same turn is compared. A decision needs an interval of the ratio that lies on one side of a
margin; until then another turn is taken.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: A candidate has to take less than this share of the time of the one it replaces.
MARGIN = 0.95
#: Min and max number of turns. The first one plans and allocates; it counts only if the second agrees.
MIN_TURNS, MAX_TURNS = 2, 24
#: Relative noise of one ratio that is assumed where the turns show less: few turns may agree by chance.
ASSUMED_NOISE = 0.03
#: Turns from which on ratios alone show their noise; the times of fewer have to agree among each other.
ENOUGH = 8
#: Turns from which on single outliers are left out of account, by the median absolute deviation; and the
#: factor that makes that the standard deviation of normal values.
MANY, MAD_TO_DEVIATION = 10, 1.4826
#: Quantiles of Student's t at 99.5 %, by degrees of freedom.
QUANTILES = {1: 63.7, 2: 9.92, 3: 5.84, 4: 4.60, 5: 4.03, 6: 3.71, 8: 3.36, 10: 3.17, 14: 2.98, 20: 2.85}
#: Widens the interval, which is looked at after every turn.
FOR_MANY_LOOKS = 1.3
#: A ratio that may be as small as this and is not decided is worth a warning; others are about equally fast.
WORTH_A_WARNING = 0.8


@dataclass(frozen=True)
class Ratio:
    """Hold the median ratio of two times, and its interval.

    Attributes:
        value: of the median turn.
        low, high: ends of the interval.
        best: ratio of the two shortest times; neighbours make times longer, and never shorter.
    """

    value: float
    low: float
    high: float
    best: float

    @classmethod
    def of(cls, times: Sequence[float], reference: Sequence[float]) -> Ratio:
        """Compare the times of two candidates; those of the same turn have the same index."""
        turns = min(len(times), len(reference))
        first = 1 if turns > MIN_TURNS else 0
        a, b = ([math.log(each) for each in taken[first:turns]] for taken in (times, reference))
        logs = [x - y for x, y in zip(a, b, strict=True)]
        noise, freedom = _noise(a, b, logs)
        quantile = next(value for degrees, value in reversed(QUANTILES.items()) if degrees <= freedom)
        half = FOR_MANY_LOOKS * quantile * max(noise, ASSUMED_NOISE) / math.sqrt(len(logs))
        middle, best = statistics.median(logs), min(times[:turns]) / min(reference[:turns])
        return cls(
            math.exp(middle), math.exp(max(middle - half, -700)), math.exp(min(middle + half, 700)), best
        )

    @property
    def is_faster(self) -> bool:
        """Return whether the candidate is certainly faster by the margin."""
        return self.high < MARGIN and self.best < MARGIN

    @property
    def is_slower(self) -> bool:
        """Return whether the candidate is certainly not faster by the margin."""
        return self.low >= MARGIN

    @property
    def is_settled(self) -> bool:
        """Return whether another turn cannot change the decision."""
        return self.is_faster or self.is_slower


def _noise(a: Sequence[float], b: Sequence[float], logs: Sequence[float]) -> tuple[float, int]:
    """Return the standard deviation of a turn's log ratio, and its degrees of freedom."""
    turns = len(logs)
    if turns < 2:
        return math.inf, 1
    if turns < ENOUGH:
        return math.sqrt(statistics.variance(a) + statistics.variance(b)), 2 * (turns - 1)
    if turns < MANY:
        return statistics.stdev(logs), turns - 1
    middle = statistics.median(logs)
    return MAD_TO_DEVIATION * statistics.median(abs(each - middle) for each in logs), turns - 1


class Race:
    """Time candidates in turns until it is settled which of them are faster than the reference.

    Args:
        runs: returns the seconds of one run in a given turn, by candidate; the reference comes first, then
            the others, the most exact first.
        may_go_on: returns whether there is time for more than the min number of turns.

    Attributes:
        times: seconds of the turns, by candidate. Candidates that are certainly too slow are not run again.
    """

    def __init__(self, runs: Mapping[str, Callable[[int], float]], may_go_on: Callable[[], bool]) -> None:
        self._runs, self._may_go_on = runs, may_go_on
        self.reference = next(iter(runs))
        self.times: dict[str, list[float]] = {name: [] for name in runs}

    def run(self) -> None:
        """Take turns until all comparisons are settled, or there is no time left."""
        out: set[str] = set()
        for turn in range(MAX_TURNS):
            if turn >= MIN_TURNS and not self._may_go_on():
                return
            # The order changes, so that no candidate always runs on the same cache contents.
            names = [name for name in self._runs if name not in out]
            for name in names if turn % 2 == 0 else names[::-1]:
                self.times[name].append(self._runs[name](turn))
            if turn + 1 >= MIN_TURNS:
                out = {name for name in self._others() if self.ratio(name, self.reference).is_slower}
                if self._is_settled():
                    return

    def ratio(self, name: str, other: str) -> Ratio:
        """Compare two candidates."""
        return Ratio.of(self.times[name], self.times[other])

    def ms(self, name: str) -> float | None:
        """Return the median time of a candidate in milliseconds; None where it did not run often enough."""
        return statistics.median(self.times[name][1:]) * 1e3 if self._has_run(name) else None

    def ranking(self) -> list[str]:
        """Return the candidates that are certainly faster than the reference, the one to take first.

        A less exact one comes before a more exact one only where it is certainly faster.
        """
        ranked: list[str] = []
        for name in self._others():
            if self._has_run(name) and self.ratio(name, self.reference).is_faster:
                place = next(
                    (i for i, each in enumerate(ranked) if self.ratio(name, each).is_faster), len(ranked)
                )
                ranked.insert(place, name)
        return ranked

    def unsettled(self) -> list[str]:
        """Return the candidates that may be much faster than the reference, which the times do not show."""
        return [
            name
            for name in self._others()
            if not self._has_run(name) or self._is_promising(self.ratio(name, self.reference))
        ]

    def _is_promising(self, ratio: Ratio) -> bool:
        return not ratio.is_settled and ratio.low < WORTH_A_WARNING

    def _has_run(self, name: str) -> bool:
        return len(self.times[name]) >= MIN_TURNS

    def _others(self) -> list[str]:
        return [name for name in self._runs if name != self.reference]

    def _is_settled(self) -> bool:
        if not all(self.ratio(name, self.reference).is_settled for name in self._others()):
            return False
        ahead = set(self.ranking())
        by_exactness = [name for name in self._others() if name in ahead]
        return all(self.ratio(less, more).is_settled for more, less in combinations(by_exactness, 2))
