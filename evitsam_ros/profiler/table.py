# SPDX-License-Identifier: Apache-2.0
"""Format a report for a terminal as aligned text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .report import NOT_REPORTED, Report, Stage
from .statistics import best

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .measurements import Figure, Suite

JITTER = "Jitter: mean absolute difference between a run and the one before it of the same image."
COLUMNS = ("p50", "p90", "p95", "p99", "max", "jitter")


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows of a table as lines: the first column left-aligned, the others right-aligned."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]


def milliseconds(value: float) -> str:
    """Format with three significant digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def with_lower_bound(stage: Stage) -> str:
    """Return ``encoder 113 ms, lower bound 71 ms, 63 %``."""
    text = f"{stage.key} {milliseconds(stage.p50)} ms"
    if stage.lower_bound_ms is None or stage.lower_bound_ratio is None:
        return text
    return f"{text}, lower bound {milliseconds(stage.lower_bound_ms)} ms, {percent(stage.lower_bound_ratio)}"


def percent(share: float | None) -> str:
    """Format a share in per cent; empty for None."""
    if share is None:
        return ""
    return f"{100 * share:.0f} %" if share >= 0.01 else "< 1 %"


def show_value(value: object) -> str:
    """Format a fact for people."""
    if value is None:
        return NOT_REPORTED
    if isinstance(value, dict):
        return ", ".join(f"{name} {entry}" for name, entry in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _stage_lines(report: Report) -> list[str]:
    rows = [["stage, ms", *COLUMNS, "lower bound", "share"]]
    for stage in report.stages:
        figures = report.figures(stage)
        lower_bound = "" if stage.lower_bound_ms is None else milliseconds(stage.lower_bound_ms)
        rows.append(
            [
                stage.key,
                *(milliseconds(figures[name]) for name in COLUMNS),
                lower_bound,
                percent(stage.lower_bound_ratio),
            ]
        )
    return aligned(rows)


def _throughput_lines(report: Report) -> list[str]:
    return [
        f"  batch {entry.batch}: "
        + (entry.problem or f"{entry.images_per_s:.2f} images/s (median of {entry.calls} calls)")
        for entry in report.throughput
    ]


def _facts(title: str, facts: Mapping[str, object]) -> list[str]:
    """Return the known facts, one per line, and the names of the unknown ones in one line."""
    known = {name: value for name, value in facts.items() if value not in (None, {}, "")}
    missing = [name for name, value in facts.items() if value is None]
    lines = [title, *(f"  {name}: {show_value(value)}" for name, value in known.items())]
    return [*lines, *([f"  {NOT_REPORTED}: {'; '.join(missing)}"] if missing else [])]


def show(value: float | None, unit: str) -> str:
    """Format a value with its unit; empty for None."""
    if value is None:
        return ""
    digits = milliseconds(value) if unit == "ms" else f"{value:.4g}"
    return f"{digits} {unit}".rstrip()


def _suite_lines(name: str, suite: Suite) -> list[str]:
    rows = [[name, "median", "p95", "lower bound", "", "lost"], *(figure_cells(f) for f in suite.figures)]
    lines = [*aligned(rows), ""]
    if suite.ratios:
        ratios = [["ratio", "median", "better"]]
        ratios += [[ratio.title, f"{ratio.value:.3g}", ratio.better] for ratio in suite.ratios]
        lines += [*aligned(ratios), ""]
    return lines


def figure_cells(figure: Figure) -> list[str]:
    """Return title, median, p95, lower bound, multiple of it and lost samples of a figure."""
    lower_bound, details = figure.lower_bound_value, figure.details
    lost = f"{details['lost']} of {details['sent']}" if "lost" in details else ""
    times = f"x {figure.value / lower_bound:.2f}" if lower_bound else ""
    several = show(figure.p95, figure.unit) if len(figure.samples) > 1 else ""
    return [
        figure.title,
        show(figure.value, figure.unit),
        several,
        show(lower_bound, figure.unit),
        times,
        lost,
    ]


def render(report: Report, extra: Sequence[str] = ()) -> str:
    """Return the complete report as text; ``extra`` lines precede the warnings."""
    lower_bounds = dict.fromkeys(
        figure.lower_bound_name for figure in report.all_figures if figure.lower_bound
    )
    lines = [
        *(_profile_lines(report) if report.stages else []),
        *(line for name, suite in report.suites.items() for line in _suite_lines(name, suite)),
        *(f"Lower bound of the figures: {name}." for name in lower_bounds),
        *report.notes,
        *(f"FAILED {name}: {reason}" for name, reason in report.failed.items()),
        *extra,
        *_facts("During the runs", report.watched),
        *_facts("Machine", report.machine),
        *_facts("Made by", report.made_by),
        "",
        *(f"Warning: {warning}" for warning in report.warnings),
        f"{report.date}; command:",
        f"  {report.command}",
    ]
    return "\n".join(lines)


def _profile_lines(report: Report) -> list[str]:
    """Return the lines of a profile's own values."""
    settings, model = report.settings, report.model
    images = settings["pictures"]
    sizes = sorted({f"{w}x{h}" for w, h in (image["size"] for image in images)})
    return [
        f"{model['name']}: {len(report.runs)} runs after {settings['warmup']} to warm up, "
        f"{len(images)} image{'s' if len(images) > 1 else ''} of {', '.join(sizes)}",
        model.get("runtimes", ""),
        "",
        *_stage_lines(report),
        "",
        *(
            with_lower_bound(stage)
            for stage in report.stages
            if stage.lower_bound_ratio is not None and stage.macs
        ),
        "Lower bound: multiply-adds and bytes at this machine's peak rates (best tenth, between the runs):",
        *(f"  {c.name} {best(c.samples):.1f} {c.unit} ({c.how})" for c in report.peak_rates),
        "  Above 100 %: from a cache, or computed in less than float32.",
        JITTER,
        "",
        *(["Encoder, throughput", *_throughput_lines(report), ""] if report.throughput else []),
        *_facts("Resident memory, MiB", report.memory),
        *_facts("Networks", {name: _one_network(value) for name, value in model["networks"].items()}),
    ]


def _one_network(value: dict[str, str]) -> str:
    rest = ", ".join(f"{name} {value}" for name, value in value.items() if name != "sha256")
    return f"{value['sha256'][:16]}…, {rest}"
