# SPDX-License-Identifier: Apache-2.0
"""Compare two reports stage by stage and figure by figure: B is faster than A, slower, or neither."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from .bootstrap import Ratio, ratio_of_medians
from .table import aligned, milliseconds, show_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .report import PeakRate, Report

#: With fewer runs an interval describes these few samples and not the machine.
MIN_RUNS = 20


@dataclass(frozen=True)
class Row:
    """A stage of both reports: medians in milliseconds, and their ratio if both are positive."""

    stage: str
    a_ms: float
    b_ms: float
    ratio: Ratio | None

    @property
    def verdict(self) -> str:
        """Return ``faster``, ``slower`` or ``cannot tell``."""
        return self.ratio.verdict if self.ratio else "cannot tell"


@dataclass(frozen=True)
class Comparison:
    """The result for ``B`` against ``A``.

    Attributes:
        enough: whether both have enough runs.
        paired: whether the n-th runs belong together: the same images in the same order.
        rows: stages that both have.
        machine: the peak rates of both, as times: the state of the machine in the same minutes.
        only_a: stages that B lacks.
        only_b: stages that A lacks.
        differences: other differences: name, value in A, value in B.
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
    """Compare by the bootstrap; runs are paired if both saw the same several images in the same order.

    With one image the n-th runs have no more in common than any others, so they are not paired.
    """
    paired = len(_images(a)) > 1 and _images(a) == _images(b) and a.images == b.images
    times_a, times_b = a.times_ms, b.times_ms
    rows = [_row(key, times_a[key], times_b[key], paired=paired) for key in times_a if key in times_b]
    counts = [len(times) for report in (times_a, times_b) for times in report.values()]
    enough = min(counts, default=0) >= MIN_RUNS
    machine = [
        _row(f"{one.name}, a {one.unit.removesuffix('/s')}", _times(one), _times(other), paired=paired)
        for one in a.peak_rates
        for other in b.peak_rates
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
        [(letter, text) for letter, report in (("A", a), ("B", b)) for text in report.warnings],
    )


def _images(report: Report) -> list[str]:
    return [image["sha256"] for image in report.settings.get("pictures", ())]


def _times(peak_rate: PeakRate) -> list[float]:
    """Return the milliseconds that a unit takes, so that faster has the same meaning as for stages."""
    return [1e3 / value for value in peak_rate.samples]


def _row(name: str, a: list[float], b: list[float], *, paired: bool) -> Row:
    middle = median(a), median(b)
    enough = min(len(a), len(b)) >= MIN_RUNS and min(middle) > 0
    # Figures of a benchmark may have other numbers of samples.
    ratio = ratio_of_medians(a, b, paired=paired and len(a) == len(b)) if enough else None
    return Row(name, *middle, ratio)


def _differences(a: Report, b: Report) -> Iterator[tuple[str, Any, Any]]:
    for section in ("machine", "made_by", "model", "settings"):
        one, other = _flat(getattr(a, section)), _flat(getattr(b, section))
        for name in one | other:
            if one.get(name) != other.get(name):
                yield f"{section}, {name}", one.get(name), other.get(name)
    descriptions = [{peak_rate.name: peak_rate.how for peak_rate in report.peak_rates} for report in (a, b)]
    for name in descriptions[0] | descriptions[1]:
        if descriptions[0].get(name) != descriptions[1].get(name):
            yield f"peak rate, {name}", descriptions[0].get(name), descriptions[1].get(name)


def _flat(facts: dict[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in facts.items():
        found |= _flat(value, f"{above}{name}, ") if isinstance(value, dict) else {f"{above}{name}": value}
    return found


def render_comparison(result: Comparison, names: tuple[str, str]) -> str:
    """Return the comparison as text; ``names`` are those of the two reports."""
    rows = [["stage, median", "A ms", "B ms", "B / A", "95 %", "B is"]]
    rows += [_cells(row) for row in result.rows]
    pairing = "paired: the same images in the same order" if result.paired else "not paired"
    lines = [
        f"A {names[0]}",
        f"B {names[1]}",
        *aligned(rows),
        f"Ratio of medians, bootstrap of blocks of neighbouring runs, {pairing}.",
        "One in twenty equal stages is called different by chance. Two runs of one program differ by",
        "other work on the machine, which the rows of the machine itself and the warnings show.",
        *([] if result.enough else [f"Fewer than {MIN_RUNS} runs: too few to compare."]),
        *(f"The machine itself, {row.stage}: {_verdict_text(row)}" for row in result.machine),
        *(f"Warning, {letter}: {text}" for letter, text in result.warnings),
        *(f"Only in A: {name}" for name in result.only_a),
        *(f"Only in B: {name}" for name in result.only_b),
        *(f"Differs: {name}: {side(one)} -> {side(other)}" for name, one, other in result.differences),
    ]
    return "\n".join(lines)


def side(value: Any) -> str:
    """Return a value of one of two reports as text; a dash if it has none."""
    return "-" if value is None else show_value(value)


def _cells(row: Row) -> list[str]:
    times = [milliseconds(row.a_ms), milliseconds(row.b_ms)]
    if row.ratio is None:
        return [row.stage, *times, "-", "-", row.verdict]
    ratio = row.ratio
    return [row.stage, *times, f"{ratio.value:.3f}", f"{ratio.low:.3f} to {ratio.high:.3f}", row.verdict]


def _verdict_text(row: Row) -> str:
    if row.ratio is None:
        return row.verdict
    return f"{row.verdict} ({row.ratio.value:.3f}, {row.ratio.low:.3f} to {row.ratio.high:.3f})"
