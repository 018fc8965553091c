# SPDX-License-Identifier: Apache-2.0
"""The values of a report: figures with their floors, and ratios of figures that were measured in turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np

LESS, MORE = "less", "more"


@dataclass(frozen=True)
class Figure:
    """A time or an amount.

    Attributes:
        key: ``part/what``, never changed once it was published.
        title: for people.
        unit: ``ms``, ``s``, ``MB``, or ``%``.
        samples: in that unit, in the order in which they were taken.
        floor: what it cannot be less than, measured in turns with the samples, one for each; or empty.
        floor_is: what the floor is, for people.
        details: whatever else belongs to it, by name.
    """

    key: str
    title: str
    unit: str
    samples: list[float]
    floor: list[float] = field(default_factory=list)
    floor_is: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float:
        return median(self.samples)

    @property
    def p95(self) -> float:
        return float(np.percentile(self.samples, 95))

    @property
    def floor_value(self) -> float | None:
        return median(self.floor) if self.floor else None


@dataclass(frozen=True)
class Ratio:
    """How many times one thing is another; of each turn, so that both saw the same machine.

    Attributes:
        key, title: as a figure's.
        samples: of the turns.
        better: ``less`` or ``more``.
    """

    key: str
    title: str
    samples: list[float]
    better: str

    @property
    def value(self) -> float:
        return median(self.samples)

    @property
    def spread(self) -> float:
        """Half the distance of the quartiles, as a share of the median."""
        low, high = np.percentile(self.samples, (25, 75))
        return float((high - low) / 2 / self.value) if self.value else 0.0


def ratio_of(key: str, title: str, above: Sequence[float], below: Sequence[float], better: str) -> Ratio:
    """The ratio turn by turn; where one side has no turns (a single value), against that one."""
    if len(below) == 1:
        below = list(below) * len(above)
    return Ratio(key, title, [a / b for a, b in zip(above, below, strict=True)], better)


def times_floor(figure: Figure) -> Ratio:
    """A figure as a multiple of its floor; its key is the figure's with ``: floor``."""
    title = f"{figure.title} / {figure.floor_is}"
    return ratio_of(f"{figure.key}: floor", title, figure.samples, figure.floor, LESS)


@dataclass
class Part:
    """The figures of one part of a report, as of all networks or of everything mode."""

    figures: list[Figure] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, figure: Figure) -> None:
        """A figure, and its ratio to the floor where it has one."""
        self.figures.append(figure)
        if figure.floor:
            self.ratios.append(times_floor(figure))
