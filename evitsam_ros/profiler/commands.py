# SPDX-License-Identifier: Apache-2.0
"""``evitsam profile``."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from ..backends import backend_choices
from ..bundle import DEFAULT_MODEL
from .figures import ENOUGH_RUNS

PHOTOGRAPH = "example"


def add_profile(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "profile", help="where every millisecond goes, against this machine's own ceilings"
    )
    parser.add_argument(
        "--model", default=DEFAULT_MODEL, help="a bundle's name or folder (default: %(default)s)"
    )
    parser.add_argument("--backend", default="auto", help=f"runtime: {', '.join(backend_choices())}")
    parser.add_argument(
        "--precision",
        choices=("fp32", "fp16", "bf16", "int8"),
        help="nothing but networks in this precision: engines of it, or a CPU runtime that has it",
    )
    parser.add_argument(
        "--threads", type=int, default=0, help="CPU threads for a network; 0: as many as cores"
    )
    parser.add_argument("--size", type=_size, metavar="WxH", help="bring the pictures to the camera's size")
    parser.add_argument(
        "--prompts",
        type=_counts(1024),
        default=(1, 16, 64, 256),
        metavar="N,N,…",
        help="boxes decoded on the whole image (default 1,16,64,256)",
    )
    parser.add_argument(
        "--everything", type=int, default=64, metavar="N", help="prompts of everything mode (default 64)"
    )
    parser.add_argument(
        "--images",
        nargs="+",
        default=[PHOTOGRAPH],
        metavar="PATH",
        help="pictures, folders, videos or bags (BAG:TOPIC); your own camera's are best (default: a "
        "photograph that comes with the package)",
    )
    parser.add_argument(
        "--runs", type=int, default=ENOUGH_RUNS, help=f"timed frames (default {ENOUGH_RUNS}; fewer is said)"
    )
    parser.add_argument("--warmup", type=int, default=10, help="frames before them (default 10)")
    parser.add_argument(
        "--batch",
        type=_counts(16),
        default=(1, 2, 4, 8, 16),
        metavar="N,N,…",
        help="images an encoder call, for its throughput (default 1,2,4,8,16)",
    )
    parser.add_argument("--json", type=Path, help="the report with all samples; --compare reads it")
    parser.add_argument("--html", type=Path, help="the report as a page, complete in itself")
    parser.add_argument("--trace", type=Path, help="every span, for ui.perfetto.dev or chrome://tracing")
    parser.add_argument(
        "--compare",
        type=Path,
        nargs=2,
        metavar=("A", "B"),
        help="two reports: is B faster, slower, or cannot one tell; measures nothing",
    )


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not WxH, as 1280x720") from None
    if not (16 <= width <= 16384 and 16 <= height <= 16384):
        raise argparse.ArgumentTypeError(f"{text!r}: expected 16 to 16384 pixels a side")
    return width, height


def _counts(most: int):
    def parse(text: str) -> tuple[int, ...]:
        try:
            counts = tuple(int(part) for part in text.split(","))
        except ValueError:
            counts = ()
        if not counts or not all(1 <= count <= most for count in counts) or len(set(counts)) < len(counts):
            raise argparse.ArgumentTypeError(f"{text!r}: expected different numbers from 1 to {most}, as 1,4")
        return counts

    return parse


def repeating_command(options: argparse.Namespace) -> str:
    """The command that measures the same again, with every default written out."""
    words = ["evitsam", "profile", "--model", options.model, "--backend", options.backend]
    words += ["--precision", options.precision] if options.precision else []
    words += ["--threads", str(options.threads)]
    words += ["--size", "{}x{}".format(*options.size)] if options.size else []
    for name, counts in (("--prompts", options.prompts), ("--batch", options.batch)):
        words += [name, ",".join(str(count) for count in counts)]
    words += ["--everything", str(options.everything), "--runs", str(options.runs)]
    words += ["--warmup", str(options.warmup), "--images", *options.images]
    return shlex.join(words)


def run_profile(options: argparse.Namespace) -> int:
    if options.compare:
        return _compare(options)
    for name, least, most in (("runs", 1, 100_000), ("warmup", 0, 100_000), ("everything", 1, 1024)):
        if not least <= getattr(options, name) <= most:
            raise ValueError(f"--{name} is {getattr(options, name)}; expected {least} to {most}")
    from .offline import Options, profile
    from .page import report_page
    from .page_parts import write_page
    from .schema import write_report
    from .table import render
    from .trace import write_trace

    report, spans = profile(
        Options(
            command=repeating_command(options),
            model=options.model,
            backend=options.backend,
            precision=options.precision,
            threads=options.threads,
            size=options.size,
            prompts=options.prompts,
            top_n=options.everything,
            images=tuple(options.images),
            runs=options.runs,
            warmup=options.warmup,
            batches=options.batch,
        ),
        _show_progress,
    )
    print(render(report))
    if options.json:
        write_report(report, options.json)
    if options.html:
        write_page(report_page(report), options.html)
    if options.trace:
        write_trace(spans, report, options.trace)
    return 0


def _compare(options: argparse.Namespace) -> int:
    from .compare import compare, render_comparison
    from .comparison_page import comparison_page
    from .page_parts import write_page
    from .schema import read_report

    if options.json or options.trace:
        raise ValueError("--compare measures nothing: expected no --json and no --trace, or --html alone")
    a, b = (read_report(path) for path in options.compare)
    names, result = tuple(str(path) for path in options.compare), compare(a, b)
    print(render_comparison(result, names))
    if options.html:
        write_page(comparison_page(result, a, b, names), options.html)
    return 0


def _show_progress(done: int, of: int) -> None:
    """A line that counts, for people at a terminal only."""
    if sys.stderr.isatty():
        print(f"\rrun {done} of {of}", end="\n" if done == of else "", file=sys.stderr, flush=True)
