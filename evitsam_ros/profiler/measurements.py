# SPDX-License-Identifier: Apache-2.0
"""Define the values of a report: figures with lower bounds, and ratios of figures measured alternately."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

LESS, MORE = "less", "more"


@dataclass(frozen=True)
class Figure:
    """A time or an amount.

    Attributes:
        key: ``suite/name``; never changed after its publication.
        title: for people.
        unit: ``ms``, ``s``, ``MB``, or ``%``.
        samples: in that unit, in the order in which they were taken.
        lower_bound: lower bounds measured alternately with the samples, one for each; or empty.
        lower_bound_name: name of the lower bound for people.
        details: further values by name.
    """

    key: str
    title: str
    unit: str
    samples: list[float]
    lower_bound: list[float] = field(default_factory=list)
    lower_bound_name: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """Return the median."""
        return median(self.samples)

    @property
    def p95(self) -> float:
        """Return the 95th percentile."""
        return float(np.percentile(self.samples, 95))

    @property
    def lower_bound_value(self) -> float | None:
        """Return the median of the lower bounds; None without any."""
        return median(self.lower_bound) if self.lower_bound else None


@dataclass(frozen=True)
class Ratio:
    """A quotient of two figures, for each round, so that both saw the same state of the machine.

    Attributes:
        key: as a figure's.
        title: as a figure's.
        samples: of the rounds.
        better: ``less`` or ``more``.
    """

    key: str
    title: str
    samples: list[float]
    better: str

    @property
    def value(self) -> float:
        """Return the median."""
        return median(self.samples)

    @property
    def spread(self) -> float:
        """Return half the distance of the quartiles, as a share of the median."""
        low, high = np.percentile(self.samples, (25, 75))
        return float((high - low) / 2 / self.value) if self.value else 0.0


def ratio_of(key: str, title: str, above: Sequence[float], below: Sequence[float], better: str) -> Ratio:
    """Divide round by round; a side with a single value is used for every round."""
    if len(below) == 1:
        below = list(below) * len(above)
    return Ratio(key, title, [a / b for a, b in zip(above, below, strict=True)], better)


def times_lower_bound(figure: Figure) -> Ratio:
    """Return a figure as a multiple of its lower bound; its key is the figure's with ``: floor``."""
    title = f"{figure.title} / {figure.lower_bound_name}"
    return ratio_of(f"{figure.key}: floor", title, figure.samples, figure.lower_bound, LESS)


@dataclass
class Suite:
    """The figures of one suite of a report, for example of all networks or of everything mode."""

    figures: list[Figure] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, figure: Figure) -> None:
        """Add a figure, and its ratio to the lower bound if it has one."""
        self.figures.append(figure)
        if figure.lower_bound:
            self.ratios.append(times_lower_bound(figure))
