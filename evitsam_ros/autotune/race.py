# SPDX-License-Identifier: Apache-2.0
"""Decide which of several candidates is faster, from times that were taken in turns.

All candidates run once a turn, one after the other, so a busy neighbour slows all of them. The ratio of two
times of the same turn is compared. A decision needs an interval of the ratio that lies on one side of a
margin; until then another turn is taken.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

#: A candidate has to take less than this share of the time of what it replaces.
MARGIN = 0.95
#: Fewest and most turns. The first one plans and allocates; it counts only where the second agrees with it.
MIN_TURNS, MAX_TURNS = 2, 24
#: Relative noise of one ratio that is assumed where the turns show less: few turns may agree by chance.
ASSUMED_NOISE = 0.03
#: Values from which on their spread is estimated by the median absolute deviation, times a factor that makes
#: it the standard deviation of normal ones.
MANY, MAD_TO_DEVIATION = 4, 1.4826
#: Half-width of the interval in standard errors.
STANDARD_ERRORS = 2.5
#: A ratio that may be as small as this and is not decided is worth a warning; others are about equally fast.
WORTH_A_WARNING = 0.8


@dataclass(frozen=True)
class Ratio:
    """The median ratio of two times, and the interval that it lies in."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, times: Sequence[float], reference: Sequence[float]) -> Ratio:
        """Compare the times of two candidates; those of the same turn have the same index."""
        logs = [math.log(a / b) for a, b in zip(times, reference, strict=False)]
        logs = logs[1:] if len(logs) > MIN_TURNS else logs
        middle = statistics.median(logs)
        half = STANDARD_ERRORS * max(_noise(logs), ASSUMED_NOISE) / math.sqrt(len(logs))
        return cls(math.exp(middle), math.exp(middle - half), math.exp(min(middle + half, 700.0)))

    @property
    def is_faster(self) -> bool:
        """Return whether the candidate is certainly faster by the margin."""
        return self.high < MARGIN

    @property
    def is_slower(self) -> bool:
        """Return whether the candidate is certainly not faster by the margin."""
        return self.low >= MARGIN

    @property
    def is_settled(self) -> bool:
        """Return whether another turn would change nothing."""
        return self.is_faster or self.is_slower


def _noise(values: Sequence[float]) -> float:
    """Return the standard deviation; of enough values one that single outliers do not change."""
    if len(values) < MANY:
        return statistics.stdev(values) if len(values) > 1 else math.inf
    middle = statistics.median(values)
    return MAD_TO_DEVIATION * statistics.median(abs(value - middle) for value in values)


class Race:
    """Time candidates in turns until it is settled which of them are faster than the reference.

    Args:
        runs: returns the seconds of one run in a given turn, by candidate; the reference comes first, then
            the others, the most exact first.
        may_go_on: returns whether there is time for another turn.

    Attributes:
        times: seconds of the turns, by candidate. One that is certainly too slow takes part no more.
    """

    def __init__(self, runs: Mapping[str, Callable[[int], float]], may_go_on: Callable[[], bool]) -> None:
        self._runs, self._may_go_on = runs, may_go_on
        self.reference = next(iter(runs))
        self.times: dict[str, list[float]] = {name: [] for name in runs}

    def run(self) -> None:
        """Take turns until all comparisons are settled, or there is no time left."""
        out: set[str] = set()
        for turn in range(MAX_TURNS):
            if not self._may_go_on():
                return
            # The order changes, so that none always runs on what another one left in the caches.
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
        ahead = self.ranking()
        return all(
            self.ratio(a, ahead[0]).is_settled or self.ratio(ahead[0], a).is_settled for a in ahead[1:]
        )
