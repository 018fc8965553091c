# SPDX-License-Identifier: Apache-2.0
"""Run the benchmark: ``python -m bench [--quick] [--suites …] [--json PATH] [--check TABLE | --store]``."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from evitsam_ros.cli.deprecated import rename_options
from evitsam_ros.cli.options import add_json
from evitsam_ros.cli.outputs import text_beside_json
from evitsam_ros.profiler.schema import ReportError, as_json, read_report

from .goals import render
from .ratio_table import TABLE, RatioTable, entry_of, read_table, write_table
from .regression_check import compare
from .suites import SUITES, expected_seconds, run

if TYPE_CHECKING:
    from evitsam_ros.profiler.report import Report

#: New name of an option by its old one; the old names work for one more release.
RENAMED = {"--parts": "--suites", "--gate": "--check", "--write-gate": "--store", "--out": "--json"}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser("bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="take a minute instead of many; coarse figures")
    parser.add_argument(
        "--suites", nargs="+", choices=list(SUITES), default=list(SUITES), help="default: all"
    )
    add_json(parser, "; python -m bench.tables reads the file")
    parser.add_argument(
        "--check",
        type=Path,
        metavar="TABLE",
        help="exit with 1 if a ratio regressed against the entry of this processor; without an entry, pass",
    )
    parser.add_argument(
        "--store",
        action="store_true",
        help=f"store the ratios of this processor in {TABLE.name} (or in the table of --check): "
        "of --repeat runs on a quiet machine, or of --reports",
    )
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="runs for --store (default: 3)")
    parser.add_argument(
        "--reports", type=Path, nargs="+", default=[], metavar="PATH", help="files of --json, for --store"
    )
    return parser


def _measure(options: argparse.Namespace, runs: int = 1) -> Report:
    minutes = runs * expected_seconds(options.suites, quick=options.quick) / 60
    duration = f"{minutes:.0f} minutes" if minutes >= 1.5 else f"{60 * minutes:.0f} seconds"
    print(f"bench: about {duration} on two quiet cores; run nothing else meanwhile", flush=True)
    report = run(options.suites, lambda name: print(f"bench: {name} …", flush=True), quick=options.quick)
    print(render(report), flush=True)
    if options.json:
        options.json.write(as_json(report))
    return report


def _store(options: argparse.Namespace) -> int:
    path = options.check or TABLE
    table = read_table(path) if path.exists() else RatioTable()
    reports = [read_report(report) for report in options.reports]
    for remaining in range(options.repeat if not reports else 0, 0, -1):
        reports.append(_measure(options, remaining))
    entry = entry_of(reports)
    write_table(table.replacing(entry), path)
    print(f"{path}: stored {len(reports)} run{'s' if len(reports) > 1 else ''} of {entry.processor.text}")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0; 1 if a suite failed or a ratio regressed; 2 if a file cannot be used.
    """
    options = build_parser().parse_args(rename_options(sys.argv[1:] if argv is None else argv, RENAMED))
    with text_beside_json(options):
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    # Handle SIGTERM as Ctrl-C, so that the suites' processes are stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if options.store:
            return _store(options)
        table = read_table(options.check) if options.check else None
        report = _measure(options)
    except ReportError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    if table is None:
        return 1 if report.failed else 0
    compared = compare(report, table)
    print(compared.text)
    return 1 if report.failed or compared.regressed else 0


if __name__ == "__main__":
    sys.exit(main())
