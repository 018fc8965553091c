# SPDX-License-Identifier: Apache-2.0
"""``python -m bench.readme bench.json [README.md]``: the performance tables of the README, from a run's JSON.

They replace what is between the lines ``<!-- bench:begin -->`` and ``<!-- bench:end -->``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from evitsam_ros.profiler.measurements import Figure
from evitsam_ros.profiler.report import Report
from evitsam_ros.profiler.schema import ReportError, read_report
from evitsam_ros.profiler.table import milliseconds

from .gate import BenchError
from .goals import verdicts

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
RUNTIMES = {
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "openvino_bf16": "OpenVINO, bfloat16",
    "torch": "torch, plain form",
}
PACKAGES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "torch": "torch"}


def grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table and an empty line; nothing without rows."""
    if not rows:
        return []
    lines = [header, ["---"] * len(header), *rows]
    return [*(f"| {' | '.join(cells)} |" for cells in lines), ""]


def _ms(figure: Figure | None) -> str:
    return "-" if figure is None else f"{milliseconds(figure.value)} ms"


def _ms_of(figure: Figure | None) -> str:
    """With its least and most, and of how many turns."""
    if figure is None:
        return "-"
    least, most = (milliseconds(of(figure.samples)) for of in (min, max))
    return f"{_ms(figure)} ({least} to {most}, {len(figure.samples)})"


def sections(report: Report) -> list[str]:
    """All lines between the markers."""
    packages = report.made_by.get("packages", {})
    versions = ", ".join(f"{name} {packages[key]}" for key, name in PACKAGES.items() if key in packages)
    commit = (report.made_by.get("commit") or "unknown")[:12]
    machine = report.machine
    lines = [
        f"`make bench` on {machine.get('CPU')}, {machine.get('CPUs of this process')} CPUs, no GPU used, "
        f"{report.date[:10]}, commit {commit}; {versions}. Medians; everything that is compared took turns.",
        "",
    ]
    lines += [f"Warning: {warning}\n" for warning in report.warnings]
    for section in (_goals, _networks, _everything, _l0, _ros, _start):
        lines += section(report)
    return lines


def _goals(report: Report) -> list[str]:
    found = verdicts(report.all_figures, report.all_ratios)
    rows = [[v.goal.title, v.goal.shown, v.shown, v.said.replace("MISSED", "**missed**")] for v in found]
    return grid(["goal", "", "found", ""], rows)


def _networks(report: Report) -> list[str]:
    part = report.parts.get("networks")
    if part is None:
        return []
    ways = list(dict.fromkeys(figure.key.split("/")[1] for figure in part.figures))
    names = list(dict.fromkeys(figure.key.split("/")[2] for figure in part.figures))
    floors = {f.key.split("/")[1]: f.floor_value for f in part.figures if f.floor}
    rows = []
    for way in ways:
        cells = [_ms(report.figure(f"networks/{way}/{name}")) for name in names]
        rows.append([way, *cells, f"{milliseconds(floors[way])} ms" if way in floors else ""])
    titles = [RUNTIMES.get(name, name) for name in names]
    header = ["`lite_sam`, 640 px", *titles, "floor: a float32 product of the multiply-adds"]
    return grid(header, rows)


def _everything(report: Report) -> list[str]:
    part = report.parts.get("everything")
    if part is None:
        return []
    suffix = ", bfloat16"
    ways = [f for f in part.figures if not f.key.endswith(suffix)]
    rows = [[f.title, _ms_of(f), _ms_of(report.figure(f.key + suffix))] for f in ways]
    ratios = [
        [ratio.title, f"{ratio.value:.3g} ({min(ratio.samples):.3g} to {max(ratio.samples):.3g})"]
        for ratio in part.ratios
        if ": floor" not in ratio.key
    ]
    title = "`lite_sam`, 512 x 512, default runtimes: median (least to most, turns)"
    return [
        *grid([title, "float32", "bfloat16"], rows),
        *grid(["everything mode, ratio of a turn: median (least to most)", "times"], ratios),
    ]


def _l0(report: Report) -> list[str]:
    rows = []
    for way, key in (("image to the mask of a box", "box"), ("encoder", "encoder")):
        ours, theirs = (report.figure(f"l0/{key}/{whose}") for whose in ("ours", "reference"))
        speed = report.ratio(f"l0/{key}: speed")
        if ours and theirs and speed:
            floor = f"{milliseconds(ours.floor_value)} ms" if ours.floor else ""
            rows.append([way, _ms(ours), _ms(theirs), f"{speed.value:.2g}", floor])
    header = [
        "`efficientvit_sam_l0`, 1280 x 720",
        "ours",
        "eager PyTorch, the reference's way",
        "times",
        "floor",
    ]
    return grid(header, rows)


def _ros(report: Report) -> list[str]:
    part = report.parts.get("ros")
    rows = []
    for figure in part.figures if part else []:
        if ": " not in figure.key:
            lost, cost = (report.figure(f"{figure.key}: {what}") for what in ("lost", "cost"))
            p95, floor = f"{milliseconds(figure.p95)} ms", figure.floor_value
            below = f"{milliseconds(floor)} ms" if floor else ""
            rows.append(
                [figure.title, _ms(figure), p95, _ms(cost), below, f"{lost.value:.0f} %" if lost else ""]
            )
    header = [
        "ROS: camera publish to mask received",
        "median",
        "p95",
        "median minus inference",
        "floor: a node that answers at once",
        "lost",
    ]
    return grid(header, rows)


def _start(report: Report) -> list[str]:
    part = report.parts.get("start")
    rows = [[f.title, f"{f.value:.3g} {f.unit}".strip()] for f in part.figures] if part else []
    return grid(["the robot's process, `lite_sam`", ""], rows)


def write_readme(report: Report, path: Path) -> None:
    """Replace what is between the markers of a file.

    Raises:
        BenchError: the file has not each marker once, the begin before the end.
    """
    text = path.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise BenchError(f"{path}: expected one line {BEGIN} and after it one line {END}")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    written = "\n".join([BEGIN, *sections(report)])
    path.write_text(f"{before}{written.rstrip()}\n{END}{after}")


def main(argv: Sequence[str]) -> int:
    if len(argv) not in (1, 2):
        print("usage: python -m bench.readme bench.json [README.md]", file=sys.stderr)
        return 2
    try:
        write_readme(read_report(Path(argv[0])), Path(argv[1] if len(argv) > 1 else "README.md"))
    except ReportError as error:
        print(f"bench.readme: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
