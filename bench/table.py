# SPDX-License-Identifier: Apache-2.0
"""A run on a terminal."""

from __future__ import annotations

from evitsam_ros.profiler.table import aligned, milliseconds, show_value

from .figures import Figure
from .goals import verdicts
from .report import Report

#: Shares of the CPUs' time above which a run is not to be believed.
OTHERS, STOLEN = 5.0, 1.0


def show(value: float | None, unit: str) -> str:
    """A value for people; nothing where there is none."""
    if value is None:
        return ""
    digits = milliseconds(value) if unit == "ms" else f"{value:.4g}"
    return f"{digits} {unit}".rstrip()


def render(report: Report) -> str:
    """Everything that was found, goals last."""
    lines = []
    for name, part in report.found.items():
        rows = [[name, "median", "p95", "floor", "", "lost"], *(_row(figure) for figure in part.figures)]
        lines += [*aligned(rows), ""]
        if part.ratios:
            ratios = [["times", "median", "better"]]
            ratios += [[ratio.title, f"{ratio.value:.3g}", ratio.better] for ratio in part.ratios]
            lines += [*aligned(ratios), ""]
    lines += [f"Floor of the figures: {what}." for what in _floors(report)]
    lines += report.notes
    lines += [f"FAILED {name}: {why}" for name, why in report.failed.items()]
    lines += ["", *goal_lines(report), ""]
    lines += [f"Warning: {warning}" for warning in warnings(report)]
    lines += [f"{report.machine.get('CPU')}; {report.made_by.get('commit')}; {report.date}; repeat it with:"]
    return "\n".join([*lines, f"  {report.command}"])


def _row(figure: Figure) -> list[str]:
    floor, details = figure.floor_value, figure.details
    lost = f"{details['lost']} of {details['sent']}" if "lost" in details else ""
    times = f"x {figure.value / floor:.2f}" if floor else ""
    several = show(figure.p95, figure.unit) if len(figure.samples) > 1 else ""
    return [figure.title, show(figure.value, figure.unit), several, show(floor, figure.unit), times, lost]


def _floors(report: Report) -> list[str]:
    return list(dict.fromkeys(figure.floor_is for figure in report.figures if figure.floor))


def goal_lines(report: Report) -> list[str]:
    """A table of the goals."""
    rows = [["goal", "", "found", ""]]
    for verdict in verdicts(report.figures, report.ratios):
        rows.append([verdict.goal.title, verdict.goal.shown, verdict.shown, verdict.said])
    return aligned(rows)


def warnings(report: Report) -> list[str]:
    """Why not to believe it, in sentences; empty for a sound run."""
    found = ["This was the short run; its figures are coarse."] if report.quick else []
    for name, limit in (("other work on the CPUs, %", OTHERS), ("stolen by the hypervisor, %", STOLEN)):
        share = report.watched.get(name)
        if share is not None and share > limit:
            what = name.removesuffix(", %")
            found.append(f"The machine was not quiet: {what} took {show_value(share)} % of them.")
    return found
