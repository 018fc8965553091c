# SPDX-License-Identifier: Apache-2.0
"""Print and write the tables of the evaluation commands, and return their exit codes."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, Any

from evitsam_ros.cli.outputs import check_outputs, text_beside_json

from ..command import run_command

if TYPE_CHECKING:
    from collections.abc import Callable

#: Rows by method, columns by measure.
Table = dict[str, dict[str, float]]


def print_table(title: str, table: Table) -> None:
    """Print a table with columns as wide as their content."""
    columns = list(dict.fromkeys(column for row in table.values() for column in row))
    lines = [[title, *columns]]
    lines += [[method, *(_cell(row.get(column)) for column in columns)] for method, row in table.items()]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for first, *cells in lines:
        print(first.ljust(widths[0]) + "".join(f"  {c:>{w}}" for c, w in zip(cells, widths[1:], strict=True)))


def _cell(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def as_json(report: dict[str, Table]) -> dict[str, Any]:
    """Convert a report for JSON: NaN, which JSON does not have, becomes None."""
    return {
        title: {
            method: {column: None if math.isnan(value) else value for column, value in row.items()}
            for method, row in table.items()
        }
        for title, table in report.items()
    }


def count(text: str) -> int:
    """Parse a number of the command line, 1 or more."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value}; expected 1 or more")
    return value


def run_evaluation(
    program: str, options: argparse.Namespace, job: Callable[[argparse.Namespace], dict[str, Table]]
) -> int:
    """Run an evaluation, print its tables, and write them as JSON if requested.

    Args:
        program: name in error messages.
        options: of the command line, with ``json``.
        job: computes the tables by title.

    Returns:
        The exit code: 1 where the data cannot be used, 2 where an option cannot.
    """

    def evaluate() -> int:
        check_outputs(options)
        with text_beside_json(options):
            report = job(options)
            for title, table in report.items():
                print_table(title, table)
            if options.json:
                options.json.write(as_json(report))
        return 0

    return run_command(program, evaluate)
