# SPDX-License-Identifier: Apache-2.0
"""Did anything get worse? Ratios of a run against stored ones, each with a tolerance of its own.

Ratios, not seconds: both sides of each saw the same machine in the same minute. They still differ between
kinds of CPUs, so the table names the one that it is of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any

import jsonschema
import yaml

from evitsam_ros.profiler.measurements import LESS, MORE
from evitsam_ros.profiler.report import Report
from evitsam_ros.profiler.schema import ReportError
from evitsam_ros.profiler.table import aligned

ID = "evitsam-ratios/1"
#: No tolerance is smaller: machines are never as quiet as one thinks. Tolerances are multiples of STEP.
LEAST, STEP = 0.15, 0.05
#: A tolerance is this often the largest departure of a run from the median of the runs.
DEPARTURES = 2.0
#: With a single run: this often the spread between its turns, and no less than ALONE.
SPREADS, ALONE = 3.0, 0.4
#: Ratios below this are of nothing; twice nothing is not worse.
NOTHING = 1e-3

_ENTRY = {
    "type": "object",
    "required": ["value", "better", "tolerance"],
    "properties": {
        "value": {"type": "number"},
        "better": {"enum": [LESS, MORE]},
        "tolerance": {"type": "number", "exclusiveMinimum": 0},
    },
    "additionalProperties": False,
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["schema", "made", "ratios"],
    "properties": {
        "schema": {"const": ID},
        "made": {"type": "object"},
        "ratios": {"type": "object", "additionalProperties": _ENTRY},
    },
}


class BenchError(ReportError):
    """A file of the benchmark that cannot be used, or a run that lacks something."""


@dataclass(frozen=True)
class Stored:
    """A stored ratio; ``tolerance``: the share by which it may get worse."""

    value: float
    better: str
    tolerance: float

    @property
    def limit(self) -> float:
        """The worst that is let through."""
        allowed = 1 + self.tolerance
        return max(self.value, NOTHING) * allowed if self.better == LESS else self.value / allowed

    def worse(self, value: float) -> bool:
        return value > self.limit if self.better == LESS else value < self.limit


@dataclass(frozen=True)
class Table:
    """``made``: of which machine, commit, date and how many runs."""

    made: dict[str, Any]
    ratios: dict[str, Stored]


def table_of(reports: Sequence[Report]) -> Table:
    """The table of one or, better, several runs of one machine.

    Raises:
        BenchError: a part of a run failed.
    """
    for report in reports:
        if report.failed:
            raise BenchError(f"no table of a run with failures: {', '.join(report.failed)}")
    ratios = {}
    for key in dict.fromkeys(ratio.key for report in reports for ratio in report.all_ratios):
        found = [ratio for report in reports if (ratio := report.ratio(key)) is not None]
        middle = median(ratio.value for ratio in found)
        tolerance = _tolerance([ratio.value for ratio in found], max(ratio.spread for ratio in found))
        ratios[key] = Stored(float(f"{middle:.4g}"), found[0].better, tolerance)
    last = reports[-1]
    made = {"date": last.date, "commit": last.made_by.get("commit"), "CPU": last.machine.get("CPU")}
    made |= {
        "CPUs": last.machine.get("CPUs of this process"),
        "runs": len(reports),
        "quick": last.settings["quick"],
    }
    return Table(made, ratios)


def _tolerance(values: Sequence[float], spread: float) -> float:
    if len(values) > 1:
        middle = median(values)
        departure = max(abs(value / middle - 1) for value in values) if middle else 0.0
        wanted = max(LEAST, DEPARTURES * departure, spread)
    else:
        wanted = max(ALONE, SPREADS * spread)
    return round(ceil(wanted / STEP - 1e-9) * STEP, 2)


def write_table(table: Table, path: Path) -> None:
    content = {"schema": ID, "made": table.made, "ratios": {k: asdict(v) for k, v in table.ratios.items()}}
    said = "# Ratios of `make bench` and how much worse each may get, by `python -m bench --write-gate`.\n"
    path.write_text(said + yaml.safe_dump(content, sort_keys=False, width=110, allow_unicode=True))


def read_table(path: Path) -> Table:
    """Raises ``BenchError`` naming the file, the entry and what was expected."""
    try:
        content = yaml.safe_load(path.read_text())
        jsonschema.validate(content, SCHEMA)
    except (OSError, yaml.YAMLError) as error:
        raise BenchError(f"{path} cannot be read: {error}") from error
    except jsonschema.ValidationError as error:
        where = ".".join(str(part) for part in error.absolute_path) or "the file"
        raise BenchError(f"{path}: {where}: {error.message}; expected {ID}") from error
    return Table(content["made"], {key: Stored(**entry) for key, entry in content["ratios"].items()})


@dataclass(frozen=True)
class Compared:
    """What a run has got worse in, what of the table it did not measure, and as text."""

    worse: list[str]
    missing: list[str]
    text: str


def compare(report: Report, table: Table) -> Compared:
    """A run against the table. What could not be measured here (a runtime that is missing) is no failure."""
    worse, missing, rows = [], [], [["got worse", "stored", "limit", "now"]]
    for key, stored in table.ratios.items():
        ratio = report.ratio(key)
        if ratio is None:
            missing.append(key)
        elif stored.worse(ratio.value):
            worse.append(key)
            rows.append([key, *(f"{v:.3g}" for v in (stored.value, stored.limit, ratio.value))])
    compared = len(table.ratios) - len(missing)
    lines = aligned(rows) if worse else [f"Gate: none of {compared} ratios got worse."]
    if missing:
        lines.append(f"Gate: not measured here: {', '.join(missing)}")
    here = report.machine.get("CPU")
    if here != table.made.get("CPU"):
        lines.append(f"Gate: the ratios are of {table.made.get('CPU')}, this is {here}; they may differ.")
    return Compared(worse, missing, "\n".join(lines))
