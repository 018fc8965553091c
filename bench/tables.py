# SPDX-License-Identifier: Apache-2.0
"""Write the tables of docs/benchmarks.md: ``python -m bench.tables bench.json [docs/benchmarks.md]``.

They replace the text between the lines ``<!-- bench:begin -->`` and ``<!-- bench:end -->``. Seconds are those
of one processor, which is named; a speed-up is shown with its range over the processors that were measured.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from evitsam_ros.profiler.schema import ReportError, read_report
from evitsam_ros.profiler.table import milliseconds

from .goals import verdicts
from .ratio_table import TABLE, BenchError, Processor, RatioTable, read_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evitsam_ros.profiler.measurements import Figure
    from evitsam_ros.profiler.report import Report

#: The page of the documentation.
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
RUNTIMES = {
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "openvino_bf16": "OpenVINO, bfloat16",
    "torch": "torch, plain form",
}
PACKAGES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "torch": "torch"}


def grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table and an empty line; no lines without rows."""
    if not rows:
        return []
    lines = [header, ["---"] * len(header), *rows]
    return [*(f"| {' | '.join(cells)} |" for cells in lines), ""]


def processor_range(report: Report, table: RatioTable, key: str) -> str:
    """Return a ratio's range over all processors, the lower end first; empty if no processor has it.

    A run replaces the stored value of its own processor.
    """
    values = dict(table.values(key))
    if (ratio := report.ratio(key)) is not None:
        values[Processor.of(report)] = ratio.value
    if not values:
        return ""
    low, high = (f"{end(values.values()):.3g}" for end in (min, max))
    if len(values) == 1:
        return f"{low} (1 entry)"
    return f"{low} to {high} ({len(values)} entries)"


def _ms(figure: Figure | None) -> str:
    return "-" if figure is None else f"{milliseconds(figure.value)} ms"


def _ms_with_range(figure: Figure | None) -> str:
    """Return the median with min, max and number of samples."""
    if figure is None:
        return "-"
    low, high = (milliseconds(end(figure.samples)) for end in (min, max))
    return f"{_ms(figure)} ({low} to {high}, {len(figure.samples)})"


def sections(report: Report, table: RatioTable) -> list[str]:
    """Return all lines between the markers."""
    packages = report.made_by.get("packages", {})
    versions = ", ".join(f"{name} {packages[key]}" for key, name in PACKAGES.items() if key in packages)
    commit = (report.made_by.get("commit") or "unknown")[:12]
    lines = [
        f"`make bench` on {Processor.of(report).text}, no GPU used, {report.date[:10]}, commit {commit}; "
        f"{versions}. Medians; compared variants were measured in turn. Ranges are over the processors of "
        "`bench/ratios.yaml`.",
        "",
    ]
    lines += [f"Warning: {warning}\n" for warning in report.warnings]
    lines += [*_goals(report, table), *_networks(report), *_everything(report, table)]
    return [*lines, *_l0(report, table), *_family(report, table), *_ros(report), *_start(report)]


def _goals(report: Report, table: RatioTable) -> list[str]:
    rows = []
    for verdict in verdicts(report.all_figures, report.all_ratios):
        goal = verdict.goal
        status = verdict.status.replace("MISSED", "**missed**")
        speed_up = processor_range(report, table, goal.key) if "times as fast" in goal.title else ""
        rows.append([goal.title, goal.limit_text, verdict.value_text, status, speed_up])
    return grid(["goal", "", "found", "", "range"], rows)


def _networks(report: Report) -> list[str]:
    suite = report.suites.get("networks")
    if suite is None:
        return []
    variants = list(dict.fromkeys(figure.key.split("/")[1] for figure in suite.figures))
    names = list(dict.fromkeys(figure.key.split("/")[2] for figure in suite.figures))
    lower_bounds = {f.key.split("/")[1]: f.lower_bound_value for f in suite.figures if f.lower_bound}
    rows = []
    for variant in variants:
        cells = [_ms(report.figure(f"networks/{variant}/{name}")) for name in names]
        bound = lower_bounds.get(variant)
        rows.append([variant, *cells, "" if bound is None else f"{milliseconds(bound)} ms"])
    titles = [RUNTIMES.get(name, name) for name in names]
    header = ["`lite_sam`, 640 px", *titles, "lower bound: a float32 product of the multiply-adds"]
    return grid(header, rows)


def _everything(report: Report, table: RatioTable) -> list[str]:
    suite = report.suites.get("everything")
    if suite is None:
        return []
    suffix = ", bfloat16"
    figures = [f for f in suite.figures if not f.key.endswith(suffix)]
    rows = [[f.title, _ms_with_range(f), _ms_with_range(report.figure(f.key + suffix))] for f in figures]
    ratios = [
        [
            ratio.title,
            f"{ratio.value:.3g} ({min(ratio.samples):.3g} to {max(ratio.samples):.3g})",
            processor_range(report, table, ratio.key),
        ]
        for ratio in suite.ratios
        if ": floor" not in ratio.key
    ]
    title = "`lite_sam`, 512 x 512, default runtimes: median (min to max, rounds)"
    return [
        *grid([title, "float32", "bfloat16"], rows),
        *grid(["everything mode, ratio of a round: median (min to max)", "times", "range"], ratios),
    ]


def _l0(report: Report, table: RatioTable) -> list[str]:
    rows = []
    for title, key in (("image to the mask of a box", "box"), ("encoder", "encoder")):
        ours, reference = (report.figure(f"l0/{key}/{name}") for name in ("ours", "reference"))
        speed = report.ratio(f"l0/{key}: speed")
        if ours and reference and speed:
            bound = "" if ours.lower_bound_value is None else f"{milliseconds(ours.lower_bound_value)} ms"
            speed_up = processor_range(report, table, speed.key)
            rows.append([title, _ms(ours), _ms(reference), f"{speed.value:.2g}", speed_up, bound])
    columns = ["ours", "reference: eager PyTorch", "times", "range", "lower bound"]
    return grid(["`efficientvit_sam_l0`, 1280 x 720", *columns], rows)


def _family(report: Report, table: RatioTable) -> list[str]:
    suite = report.suites.get("family")
    rows = []
    for key in dict.fromkeys(figure.key.rpartition("/")[0] for figure in (suite.figures if suite else ())):
        names = ("openvino", "openvino_bf16", "reference")
        cells = [_ms(report.figure(f"{key}/{name}")) for name in names]
        ratios = [report.ratio(f"{key}{suffix}: speed") for suffix in ("", ", float32")]
        values = ["" if ratio is None else f"{ratio.value:.2g}" for ratio in ratios]
        rows.append(
            [f"`{key.split('/')[1]}`", *cells, *values, processor_range(report, table, f"{key}: speed")]
        )
    columns = ["float32", "bfloat16", "reference: eager PyTorch", "times", "times, float32", "range of times"]
    return grid(["image to the mask of a box, 1280 x 720", *columns], rows)


def _ros(report: Report) -> list[str]:
    suite = report.suites.get("ros")
    rows = []
    for figure in suite.figures if suite else []:
        if ": " not in figure.key:
            lost, cost = (report.figure(f"{figure.key}: {name}") for name in ("lost", "cost"))
            bound = figure.lower_bound_value
            rows.append(
                [
                    figure.title,
                    _ms(figure),
                    f"{milliseconds(figure.p95)} ms",
                    _ms(cost),
                    f"{milliseconds(bound)} ms" if bound else "",
                    f"{lost.value:.0f} %" if lost else "",
                ]
            )
    columns = ["median", "p95", "median minus inference", "lower bound: a node that answers at once", "lost"]
    return grid(["ROS: camera publish to mask received", *columns], rows)


def _start(report: Report) -> list[str]:
    suite = report.suites.get("start")
    rows = [[f.title, f"{f.value:.3g} {f.unit}".strip()] for f in suite.figures] if suite else []
    return grid(["the robot's process, `lite_sam`", ""], rows)


def write_tables(report: Report, path: Path, table: RatioTable) -> None:
    """Replace the text between the markers of a file.

    Raises:
        BenchError: the file does not have each marker once, the begin before the end.
    """
    text = path.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise BenchError(f"{path}: expected one line {BEGIN} and after it one line {END}")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    written = "\n".join([BEGIN, *sections(report, table)])
    path.write_text(f"{before}{written.rstrip()}\n{END}{after}")


def main(argv: Sequence[str]) -> int:
    """Run the command line: a report, and the page or another file; return the exit code."""
    if len(argv) not in (1, 2):
        print("usage: python -m bench.tables bench.json [docs/benchmarks.md]", file=sys.stderr)
        return 2
    try:
        path = Path(argv[1]) if len(argv) > 1 else PAGE
        write_tables(read_report(Path(argv[0])), path, read_table(TABLE))
    except ReportError as error:
        print(f"bench.tables: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
