# SPDX-License-Identifier: Apache-2.0
"""Describe the outcome of a unit, and of a run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """Describe the outcome of a unit.

    Attributes:
        key, title: of the unit.
        images: number of its images, damaged ones included.
        masks: number of rows.
        damaged: images that could not be read.
        error: why the unit failed; empty if it is done.
        fatal: no other unit can be done either.
        skipped: images that ended the process of native code, a line each.
        warnings: lines that were logged.
    """

    key: str
    title: str
    images: int = 0
    masks: int = 0
    damaged: int = 0
    error: str = ""
    fatal: bool = False
    skipped: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the outcome as a line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Outcome:
        """Return the outcome that :meth:`to_json` wrote."""
        fields: dict[str, Any] = json.loads(text)
        return cls(**{**fields, **{name: tuple(fields[name]) for name in ("skipped", "warnings")}})


@dataclass
class Summary:
    """Counts of a run.

    Attributes:
        units: units of work in the inputs.
        earlier: units that an earlier run had done.
        done: units that this run has done.
        images, masks, damaged: of this run.
        failed: units and images that were set aside: title -> reason.
        seconds: duration of the run.
        first_seconds: from the start to the first unit that was done; 0 if there was none.
    """

    units: int = 0
    earlier: int = 0
    done: int = 0
    images: int = 0
    masks: int = 0
    damaged: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    first_seconds: float = 0.0

    def add(self, outcome: Outcome, seconds: float) -> None:
        """Count the outcome of a unit, known ``seconds`` after the start."""
        if outcome.error:
            self.failed[outcome.title] = outcome.error
            return
        for line in outcome.skipped:
            title, _, reason = line.partition(": ")
            self.failed[title] = reason
        self.first_seconds = self.first_seconds or seconds
        self.done += 1
        self.images += outcome.images
        self.masks += outcome.masks
        self.damaged += outcome.damaged

    def as_json(self) -> dict[str, Any]:
        """Return the counts for ``--json``."""
        rate = self.images / self.seconds if self.seconds else 0.0
        return {**asdict(self), "images_per_second": rate}
