# SPDX-License-Identifier: Apache-2.0
"""Compare the ratios of a run with those that are stored for its processor."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evitsam_ros.profiler.table import aligned

from .ratio_table import Processor

if TYPE_CHECKING:
    from evitsam_ros.profiler.report import Report

    from .ratio_table import RatioTable

#: How the ratios of a processor are stored.
STORE_COMMAND = "make bench ARGS=--store"


@dataclass(frozen=True)
class Comparison:
    """The result of a check.

    Attributes:
        text: the result for people.
        regressed: keys of the ratios that got worse than their tolerance.
        missing: keys of stored ratios that the run did not measure.
        stored: whether the table has an entry of this processor.
    """

    text: str
    regressed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    stored: bool = True


def compare(report: Report, table: RatioTable) -> Comparison:
    """Compare a run with the entry of its processor.

    A ratio that could not be measured here, for example of a missing runtime, is no regression. Neither is a
    processor without an entry: ratios of another processor do not predict those of this one.
    """
    processor = Processor.of(report)
    entry = table.entry_for(processor)
    if entry is None:
        return Comparison(
            f"Check: no ratios are stored for {processor.text} yet; no ratio was compared.\n"
            f"Check: to store them, run this on a quiet machine: {STORE_COMMAND}",
            stored=False,
        )
    regressed, missing, rows = [], [], [["regressed", "stored", "limit", "now"]]
    for key, stored in entry.ratios.items():
        ratio = report.ratio(key)
        if ratio is None:
            missing.append(key)
        elif stored.regressed(ratio.value):
            regressed.append(key)
            rows.append([key, *(f"{v:.3g}" for v in (stored.value, stored.limit, ratio.value))])
    compared = len(entry.ratios) - len(missing)
    lines = aligned(rows) if regressed else [f"Check: none of {compared} ratios regressed."]
    lines.append(f"Check: compared with the entry of {processor.text}.")
    if missing:
        lines.append(f"Check: not measured here: {', '.join(missing)}")
    return Comparison("\n".join(lines), regressed, missing)
