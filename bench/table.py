# SPDX-License-Identifier: Apache-2.0
"""A run on a terminal: the report, and the goals."""

from __future__ import annotations

from evitsam_ros.profiler import table
from evitsam_ros.profiler.report import Report

from .goals import verdicts


def render(report: Report) -> str:
    """Return the report as text, with the goals."""
    return table.render(report, ["", *goal_lines(report), ""])


def goal_lines(report: Report) -> list[str]:
    """A table of the goals."""
    rows = [["goal", "", "found", ""]]
    for verdict in verdicts(report.all_figures, report.all_ratios):
        rows.append([verdict.goal.title, verdict.goal.shown, verdict.shown, verdict.said])
    return table.aligned(rows)
