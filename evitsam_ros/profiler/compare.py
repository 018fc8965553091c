# SPDX-License-Identifier: Apache-2.0
"""Two reports: is B faster than A, slower, or undecided, stage by stage and figure by figure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

from .bootstrap import Ratio, ratio_of_medians
from .report import Ceiling, Report
from .table import aligned, milliseconds, show_value

#: With fewer runs an interval is that of a handful of numbers, not of the machine.
LEAST_RUNS = 20


@dataclass(frozen=True)
class Row:
    """A stage of both reports: medians in milliseconds, and their ratio where both are more than nothing."""

    stage: str
    a_ms: float
    b_ms: float
    ratio: Ratio | None

    @property
    def verdict(self) -> str:
        return self.ratio.verdict if self.ratio else "cannot tell"


@dataclass(frozen=True)
class Comparison:
    """``B`` against ``A``.

    Attributes:
        enough: both have runs enough to tell anything.
        paired: the n-th runs belong together: the same pictures in the same order.
        rows: stages that both have.
        machine: the ceilings of both, as times: what the machine did in the same minutes.
        only_a, only_b: stages that the other lacks.
        differences: what else differs: name, in A, in B.
        warnings: of the reports: ``A`` or ``B``, and the sentence.
    """

    enough: bool
    paired: bool
    rows: list[Row]
    machine: list[Row]
    only_a: list[str]
    only_b: list[str]
    differences: list[tuple[str, Any, Any]]
    warnings: list[tuple[str, str]]


def compare(a: Report, b: Report) -> Comparison:
    """Compare by the bootstrap; runs are paired where both saw the same several pictures in the same order.

    With one picture the n-th runs have nothing in common that others have not, so they are not paired.
    """
    paired = len(_pictures(a)) > 1 and _pictures(a) == _pictures(b) and a.pictures == b.pictures
    times_a, times_b = a.times_ms, b.times_ms
    rows = [_row(key, times_a[key], times_b[key], paired) for key in times_a if key in times_b]
    counts = [len(times) for report in (times_a, times_b) for times in report.values()]
    enough = min(counts, default=0) >= LEAST_RUNS
    machine = [
        _row(f"{one.name}, a {one.unit.removesuffix('/s')}", _times(one), _times(other), paired)
        for one in a.ceilings
        for other in b.ceilings
        if one.name == other.name
    ]
    return Comparison(
        enough,
        paired,
        rows,
        machine,
        [name for name in times_a if name not in times_b],
        [name for name in times_b if name not in times_a],
        list(_differences(a, b)),
        [(which, text) for which, report in (("A", a), ("B", b)) for text in report.warnings],
    )


def _pictures(report: Report) -> list[str]:
    return [picture["sha256"] for picture in report.settings.get("pictures", ())]


def _times(ceiling: Ceiling) -> list[float]:
    """Milliseconds that a unit takes, so that faster means the same as of stages."""
    return [1e3 / value for value in ceiling.samples]


def _row(name: str, a: list[float], b: list[float], paired: bool) -> Row:
    middle = median(a), median(b)
    enough = min(len(a), len(b)) >= LEAST_RUNS and min(middle) > 0
    # Figures of a benchmark may have other numbers of samples.
    ratio = ratio_of_medians(a, b, paired and len(a) == len(b)) if enough else None
    return Row(name, *middle, ratio)


def _differences(a: Report, b: Report) -> Iterator[tuple[str, Any, Any]]:
    for part in ("machine", "made_by", "model", "settings"):
        one, other = _flat(getattr(a, part)), _flat(getattr(b, part))
        for name in one | other:
            if one.get(name) != other.get(name):
                yield f"{part}, {name}", one.get(name), other.get(name)
    how = [{ceiling.name: ceiling.how for ceiling in report.ceilings} for report in (a, b)]
    for name in how[0] | how[1]:
        if how[0].get(name) != how[1].get(name):
            yield f"ceiling, {name}", how[0].get(name), how[1].get(name)


def _flat(facts: dict[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in facts.items():
        found |= _flat(value, f"{above}{name}, ") if isinstance(value, dict) else {f"{above}{name}": value}
    return found


def render_comparison(result: Comparison, names: tuple[str, str]) -> str:
    """The comparison as text; ``names`` of the two reports."""
    rows = [["stage, median", "A ms", "B ms", "B / A", "95 %", "B is"]]
    rows += [_cells(row) for row in result.rows]
    how = "paired: the same pictures in the same order" if result.paired else "not paired"
    lines = [
        f"A {names[0]}",
        f"B {names[1]}",
        *aligned(rows),
        f"Ratio of medians, bootstrap of blocks of neighbouring runs, {how}.",
        "Of equal stages one in twenty is called different by chance; and two runs of one program differ",
        "by what else the machine did, which the rows of the machine itself and the warnings show.",
        *([] if result.enough else [f"Fewer than {LEAST_RUNS} runs: nothing can be told."]),
        *(f"The machine itself, {row.stage}: {_said(row)}" for row in result.machine),
        *(f"Warning, {which}: {text}" for which, text in result.warnings),
        *(f"Only in A: {name}" for name in result.only_a),
        *(f"Only in B: {name}" for name in result.only_b),
        *(f"Differs: {name}: {side(one)} -> {side(other)}" for name, one, other in result.differences),
    ]
    return "\n".join(lines)


def side(value: Any) -> str:
    """What one of two reports says; a dash where it says nothing."""
    return "-" if value is None else show_value(value)


def _cells(row: Row) -> list[str]:
    times = [milliseconds(row.a_ms), milliseconds(row.b_ms)]
    if row.ratio is None:
        return [row.stage, *times, "-", "-", row.verdict]
    ratio = row.ratio
    return [row.stage, *times, f"{ratio.value:.3f}", f"{ratio.low:.3f} to {ratio.high:.3f}", row.verdict]


def _said(row: Row) -> str:
    if row.ratio is None:
        return row.verdict
    return f"{row.verdict} ({row.ratio.value:.3f}, {row.ratio.low:.3f} to {row.ratio.high:.3f})"
