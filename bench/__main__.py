# SPDX-License-Identifier: Apache-2.0
"""``python -m bench [--quick] [--parts …] [--json PATH] [--gate TABLE | --write-gate]``."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from evitsam_ros.cli.options import add_json
from evitsam_ros.cli.outputs import text_beside_json
from evitsam_ros.profiler.report import Report
from evitsam_ros.profiler.schema import ReportError, as_json, read_report

from .gate import compare, read_table, table_of, write_table
from .part import PARTS, expected_seconds
from .run import run
from .table import render

TABLE = Path(__file__).with_name("ratios.yaml")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="what fits into a minute; coarse")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS), help="default: all")
    add_json(parser, "; python -m bench.readme reads the file")
    parser.add_argument("--gate", type=Path, metavar="TABLE", help="fail where a ratio got worse")
    parser.add_argument(
        "--write-gate",
        action="store_true",
        help=f"write {TABLE.name} of --repeat runs on a quiet machine, or of those in --reports",
    )
    parser.add_argument("--repeat", type=int, default=3, help="runs for --write-gate (default: 3)")
    parser.add_argument(
        "--reports", type=Path, nargs="+", default=[], help="for --write-gate: files of --json"
    )
    return parser


def _measure(options: argparse.Namespace, runs: int = 1) -> Report:
    minutes = runs * expected_seconds(options.parts, options.quick) / 60
    about = f"{minutes:.0f} minutes" if minutes >= 1.5 else f"{60 * minutes:.0f} seconds"
    print(f"bench: about {about} on two quiet cores; let the machine do nothing else", flush=True)
    report = run(options.parts, options.quick, lambda name: print(f"bench: {name} …", flush=True))
    print(render(report), flush=True)
    if options.json:
        options.json.write(as_json(report))
    return report


def _write_gate(options: argparse.Namespace) -> int:
    reports = [read_report(path) for path in options.reports]
    for left in range(options.repeat if not reports else 0, 0, -1):
        reports.append(_measure(options, left))
    path = options.gate or TABLE
    write_table(table_of(reports), path)
    print(f"{path}: of {len(reports)} run{'s' if len(reports) > 1 else ''}")
    return 0


def main(argv: list[str] | None = None) -> int:
    """0; 1 where a part failed or the gate found something worse; 2 where a file cannot be used."""
    options = build_parser().parse_args(argv)
    with text_beside_json(options):
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    # As Ctrl-C: the parts are ended on the way out.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if options.write_gate:
            return _write_gate(options)
        table = read_table(options.gate) if options.gate else None
        report = _measure(options)
    except ReportError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    if table is None:
        return 1 if report.failed else 0
    compared = compare(report, table)
    print(compared.text)
    return 1 if report.failed or compared.worse else 0


if __name__ == "__main__":
    sys.exit(main())
