# SPDX-License-Identifier: Apache-2.0
"""Store ratios of the benchmark, each with a tolerance, by the processor on which they were measured.

Both sides of a ratio were measured on one machine in the same minute, but ratios still differ between
processors: each has its own entry.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from math import ceil
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import jsonschema
import yaml

from evitsam_ros.profiler.measurements import LESS, MORE
from evitsam_ros.profiler.schema import ReportError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evitsam_ros.profiler.report import Report

TABLE = Path(__file__).with_name("ratios.yaml")
ID = "evitsam-ratios/2"
#: The format before, with one entry for one processor of unknown family.
OLD = "evitsam-ratios/1"
HEADER = """\
# Ratios of `make bench` by processor, and how much worse each may get; stored by `make bench ARGS=--store`.
# An entry without a family is of a processor that was not identified: the ranges of docs/benchmarks.md
# include it, the check does not use it.
"""
#: The smallest tolerance, since no machine is perfectly quiet. Tolerances are multiples of TOLERANCE_STEP.
MIN_TOLERANCE, TOLERANCE_STEP = 0.15, 0.05
#: With several runs, a tolerance is this many times the largest deviation of a run from their median.
DEVIATIONS = 2.0
#: With a single run, a tolerance is this many times the spread within it, and has this minimum.
SPREADS, MIN_SINGLE_RUN_TOLERANCE = 3.0, 0.4
#: Smaller ratios count as this one: doubling a negligible cost is no regression.
NEGLIGIBLE = 1e-3

_RATIO = {
    "type": "object",
    "required": ["value", "better", "tolerance"],
    "properties": {
        "value": {"type": "number"},
        "better": {"enum": [LESS, MORE]},
        "tolerance": {"type": "number", "exclusiveMinimum": 0},
    },
    "additionalProperties": False,
}
_RATIOS = {"type": "object", "additionalProperties": _RATIO}
_PROCESSOR = {
    "type": "object",
    "required": ["name", "family", "instruction_sets", "cores"],
    "properties": {
        "name": {"type": "string"},
        "family": {"type": ["string", "null"]},
        "instruction_sets": {"type": ["array", "null"], "items": {"type": "string"}},
        "cores": {"type": ["integer", "null"], "minimum": 1},
    },
    "additionalProperties": False,
}
_ENTRY = {
    "type": "object",
    "required": ["processor", "made", "ratios"],
    "properties": {"processor": _PROCESSOR, "made": {"type": "object"}, "ratios": _RATIOS},
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["schema", "processors"],
    "properties": {"schema": {"const": ID}, "processors": {"type": "array", "items": _ENTRY}},
}
OLD_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["schema", "made", "ratios"],
    "properties": {"schema": {"const": OLD}, "made": {"type": "object"}, "ratios": _RATIOS},
}


class BenchError(ReportError):
    """A file of the benchmark cannot be used, or a run lacks a value."""


@dataclass(frozen=True)
class Processor:
    """A processor model as the benchmark identifies it.

    Attributes:
        name: model name, as ``AMD EPYC``; hypervisors shorten it, so it does not identify the model.
        family: vendor, family and model number; None if unknown.
        instruction_sets: those that speed up networks, sorted; None if unknown.
        cores: CPUs that the benchmark could use; None if unknown.
    """

    name: str
    family: str | None
    instruction_sets: tuple[str, ...] | None
    cores: int | None

    @classmethod
    def of(cls, report: Report) -> Processor:
        """Return the processor on which a report was measured."""
        machine = report.machine
        names = machine.get("instruction sets")
        return cls(
            str(machine.get("CPU") or "unknown processor"),
            machine.get("CPU family"),
            None if names is None else tuple(sorted(str(names).split())),
            machine.get("CPUs of this process"),
        )

    @property
    def identified(self) -> bool:
        """Whether all that distinguishes processors is known."""
        return None not in (self.family, self.instruction_sets, self.cores)

    @property
    def text(self) -> str:
        """Return one line that names the processor."""
        details = [self.family or "unknown family"]
        details += [] if self.cores is None else [f"{self.cores} cores"]
        details += [] if self.instruction_sets is None else [" ".join(self.instruction_sets)]
        return f"{self.name} ({', '.join(details)})"


@dataclass(frozen=True)
class StoredRatio:
    """A stored ratio; ``tolerance`` is the share by which it may get worse."""

    value: float
    better: str
    tolerance: float

    @property
    def limit(self) -> float:
        """Return the worst value that is no regression."""
        allowed = 1 + self.tolerance
        return max(self.value, NEGLIGIBLE) * allowed if self.better == LESS else self.value / allowed

    def regressed(self, value: float) -> bool:
        """Return whether ``value`` is beyond the limit."""
        return value > self.limit if self.better == LESS else value < self.limit


@dataclass(frozen=True)
class Entry:
    """The ratios of one processor; ``made`` has date, commit and number of runs."""

    processor: Processor
    made: dict[str, Any]
    ratios: dict[str, StoredRatio]


@dataclass(frozen=True)
class RatioTable:
    """The entries of all processors."""

    entries: tuple[Entry, ...] = field(default=())

    def entry_for(self, processor: Processor) -> Entry | None:
        """Return the entry of an identified processor, if it has one."""
        if not processor.identified:
            return None
        return next((entry for entry in self.entries if entry.processor == processor), None)

    def replacing(self, entry: Entry) -> RatioTable:
        """Return the table with ``entry`` in place of the one of the same processor, or at the end."""
        others = tuple(other for other in self.entries if other.processor != entry.processor)
        return RatioTable((*others, entry))

    def values(self, key: str) -> Iterator[tuple[Processor, float]]:
        """Yield the stored value of a ratio on each processor."""
        for entry in self.entries:
            if key in entry.ratios:
                yield entry.processor, entry.ratios[key].value


def entry_of(reports: Sequence[Report]) -> Entry:
    """Make the entry of one or, better, several runs of one processor.

    Raises:
        BenchError: a suite failed, the runs are of different processors, or the processor is unknown.
    """
    for report in reports:
        if report.failed:
            raise BenchError(f"a run with failures cannot be stored: {', '.join(report.failed)}")
    processors = {Processor.of(report) for report in reports}
    if len(processors) != 1:
        names = "; ".join(sorted(processor.text for processor in processors))
        raise BenchError(f"the runs are of different processors ({names}); expected runs of one")
    (processor,) = processors
    if not processor.identified:
        raise BenchError(
            f"{processor.text} is not identified: the report lacks its family, instruction sets or cores; "
            "measure on Linux with this version of bench"
        )
    ratios = {}
    for key in dict.fromkeys(ratio.key for report in reports for ratio in report.all_ratios):
        found = [ratio for report in reports if (ratio := report.ratio(key)) is not None]
        tolerance = _tolerance([ratio.value for ratio in found], max(ratio.spread for ratio in found))
        value = median(ratio.value for ratio in found)
        ratios[key] = StoredRatio(float(f"{value:.4g}"), found[0].better, tolerance)
    last = reports[-1]
    made = {"date": last.date, "commit": last.made_by.get("commit")}
    return Entry(processor, made | {"runs": len(reports), "quick": last.settings["quick"]}, ratios)


def _tolerance(values: Sequence[float], spread: float) -> float:
    if len(values) > 1:
        middle = median(values)
        deviation = max(abs(value / middle - 1) for value in values) if middle else 0.0
        tolerance = max(MIN_TOLERANCE, DEVIATIONS * deviation, spread)
    else:
        tolerance = max(MIN_SINGLE_RUN_TOLERANCE, SPREADS * spread)
    return round(ceil(tolerance / TOLERANCE_STEP - 1e-9) * TOLERANCE_STEP, 2)


def write_table(table: RatioTable, path: Path) -> None:
    """Write a table as YAML.

    Raises:
        BenchError: the file cannot be written.
    """
    processors = []
    for entry in table.entries:
        processor = asdict(entry.processor)
        if processor["instruction_sets"] is not None:
            processor["instruction_sets"] = list(processor["instruction_sets"])
        ratios = {key: asdict(ratio) for key, ratio in entry.ratios.items()}
        processors.append({"processor": processor, "made": entry.made, "ratios": ratios})
    content = {"schema": ID, "processors": processors}
    try:
        path.write_text(HEADER + yaml.safe_dump(content, sort_keys=False, width=110, allow_unicode=True))
    except OSError as error:
        raise BenchError(f"{path} cannot be written: {error}") from error


def read_table(path: Path) -> RatioTable:
    """Read a table, also of the format before.

    Raises:
        BenchError: the file cannot be read; names the file, the entry and the expectation.
    """
    try:
        content = yaml.safe_load(path.read_text())
        old = isinstance(content, dict) and content.get("schema") == OLD
        jsonschema.validate(content, OLD_SCHEMA if old else SCHEMA)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BenchError(f"{path} cannot be read: {error}") from error
    except jsonschema.ValidationError as error:
        where = ".".join(str(step) for step in error.absolute_path) or "the file"
        raise BenchError(f"{path}: {where}: {error.message}; expected {ID}") from error
    if old:
        made = content["made"]
        unidentified = Processor(str(made.get("CPU")), None, None, made.get("CPUs"))
        return RatioTable((Entry(unidentified, made, _ratios(content["ratios"])),))
    return RatioTable(tuple(_entry(entry) for entry in content["processors"]))


def _entry(content: dict[str, Any]) -> Entry:
    processor = dict(content["processor"])
    if processor["instruction_sets"] is not None:
        processor["instruction_sets"] = tuple(sorted(processor["instruction_sets"]))
    return Entry(Processor(**processor), content["made"], _ratios(content["ratios"]))


def _ratios(content: dict[str, Any]) -> dict[str, StoredRatio]:
    return {key: StoredRatio(**ratio) for key, ratio in content.items()}
