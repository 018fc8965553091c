# SPDX-License-Identifier: Apache-2.0
"""A report on a terminal: aligned text, nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .measurements import Figure, Part
from .report import NOT_TOLD, Report, Stage
from .statistics import best

JITTER = "Jitter: mean absolute difference between a run and the one before it of the same picture."
COLUMNS = ("p50", "p90", "p95", "p99", "max", "jitter")


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of a table as lines: the first column to the left, the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]


def milliseconds(value: float) -> str:
    """Three digits that mean something."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def against_floor(stage: Stage) -> str:
    """``encoder 113 ms, floor 71 ms, 63 %``."""
    said = f"{stage.key} {milliseconds(stage.p50)} ms"
    if stage.floor_ms is None or stage.of_floor is None:
        return said
    return f"{said}, floor {milliseconds(stage.floor_ms)} ms, {percent(stage.of_floor)}"


def percent(share: float | None) -> str:
    """A share for people; nothing where there is none."""
    if share is None:
        return ""
    return f"{100 * share:.0f} %" if share >= 0.01 else "< 1 %"


def show_value(value: object) -> str:
    """A fact for people."""
    if value is None:
        return NOT_TOLD
    if isinstance(value, dict):
        return ", ".join(f"{name} {told}" for name, told in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _stage_lines(report: Report) -> list[str]:
    rows = [["stage, ms", *COLUMNS, "floor", "of it"]]
    for stage in report.stages:
        figures = report.figures(stage)
        floor = "" if stage.floor_ms is None else milliseconds(stage.floor_ms)
        rows.append(
            [stage.key, *(milliseconds(figures[name]) for name in COLUMNS), floor, percent(stage.of_floor)]
        )
    return aligned(rows)


def _throughput_lines(report: Report) -> list[str]:
    return [
        f"  batch {entry.batch}: "
        + (entry.problem or f"{entry.images_per_s:.2f} images/s (median of {entry.calls} calls)")
        for entry in report.throughput
    ]


def _facts(title: str, facts: Mapping[str, object]) -> list[str]:
    """Facts that are told, a line each, and in one line those that are not."""
    known = {name: value for name, value in facts.items() if value not in (None, {}, "")}
    missing = [name for name, value in facts.items() if value is None]
    lines = [title, *(f"  {name}: {show_value(value)}" for name, value in known.items())]
    return [*lines, *([f"  {NOT_TOLD}: {'; '.join(missing)}"] if missing else [])]


def show(value: float | None, unit: str) -> str:
    """A value with its unit; empty where there is none."""
    if value is None:
        return ""
    digits = milliseconds(value) if unit == "ms" else f"{value:.4g}"
    return f"{digits} {unit}".rstrip()


def _part_lines(name: str, part: Part) -> list[str]:
    rows = [[name, "median", "p95", "floor", "", "lost"], *(figure_cells(f) for f in part.figures)]
    lines = [*aligned(rows), ""]
    if part.ratios:
        ratios = [["ratio", "median", "better"]]
        ratios += [[ratio.title, f"{ratio.value:.3g}", ratio.better] for ratio in part.ratios]
        lines += [*aligned(ratios), ""]
    return lines


def figure_cells(figure: Figure) -> list[str]:
    """Return title, median, p95, floor, multiple of the floor and lost samples of a figure."""
    floor, details = figure.floor_value, figure.details
    lost = f"{details['lost']} of {details['sent']}" if "lost" in details else ""
    times = f"x {figure.value / floor:.2f}" if floor else ""
    several = show(figure.p95, figure.unit) if len(figure.samples) > 1 else ""
    return [figure.title, show(figure.value, figure.unit), several, show(floor, figure.unit), times, lost]


def render(report: Report, more: Sequence[str] = ()) -> str:
    """The whole report as text; ``more`` lines stand before the warnings."""
    floors = dict.fromkeys(figure.floor_is for figure in report.all_figures if figure.floor)
    lines = [
        *(_profile_lines(report) if report.stages else []),
        *(line for name, part in report.parts.items() for line in _part_lines(name, part)),
        *(f"Floor of the figures: {name}." for name in floors),
        *report.notes,
        *(f"FAILED {name}: {reason}" for name, reason in report.failed.items()),
        *more,
        *_facts("During the runs", report.watched),
        *_facts("Machine", report.machine),
        *_facts("Made by", report.made_by),
        "",
        *(f"Warning: {warning}" for warning in report.warnings),
        f"{report.date}; repeat it with:",
        f"  {report.command}",
    ]
    return "\n".join(lines)


def _profile_lines(report: Report) -> list[str]:
    """What belongs to a profile alone."""
    settings, model = report.settings, report.model
    pictures = settings["pictures"]
    sizes = sorted({f"{w}x{h}" for w, h in (picture["size"] for picture in pictures)})
    return [
        f"{model['name']}: {len(report.runs)} runs after {settings['warmup']} to warm up, "
        f"{len(pictures)} picture{'s' if len(pictures) > 1 else ''} of {', '.join(sizes)}",
        model.get("runtimes", ""),
        "",
        *_stage_lines(report),
        "",
        *(against_floor(stage) for stage in report.stages if stage.of_floor is not None and stage.macs),
        "The floor: multiply-adds and bytes at this machine's ceilings (best tenth, in turns with the runs):",
        *(f"  {c.name} {best(c.samples):.1f} {c.unit} ({c.how})" for c in report.ceilings),
        "  More than 100 %: it came out of a cache, or was computed in less than float32.",
        JITTER,
        "",
        *(["Encoder, throughput", *_throughput_lines(report), ""] if report.throughput else []),
        *_facts("Resident memory, MiB", report.memory),
        *_facts("Networks", {name: _one_network(told) for name, told in model["networks"].items()}),
    ]


def _one_network(told: dict[str, str]) -> str:
    rest = ", ".join(f"{name} {value}" for name, value in told.items() if name != "sha256")
    return f"{told['sha256'][:16]}…, {rest}"
