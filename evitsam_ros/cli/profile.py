# SPDX-License-Identifier: Apache-2.0
"""Run ``evitsam profile``."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from ..profiler.statistics import ENOUGH_RUNS
from .options import (
    Number,
    Ranges,
    add_backend,
    add_batch,
    add_closer_looks,
    add_html,
    add_images,
    add_json,
    add_max_prompts,
    add_model,
    add_precision,
    add_prompt_ranges,
    add_runs,
    add_threads,
)


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "profile", help="measure the latency of every stage, beside the lower bounds of this machine"
    )
    add_model(parser)
    parser.add_argument(
        "--semantic-model",
        metavar="MODEL",
        default="",
        help="a semantic bundle; profile measures the classes of masks too (default: none)",
    )
    add_backend(parser)
    add_precision(parser, "auto", "; profile fails if a network would run in another one")
    add_threads(parser)
    parser.add_argument(
        "--size", type=_size, metavar="WxH", help="resize the images to the size of your camera's"
    )
    add_prompt_ranges(parser, "profile measures both ends of each range, with boxes anywhere on the image")
    add_max_prompts(parser)
    add_closer_looks(parser, "; profile measures that with small boxes")
    add_images(parser, "example", "a photograph of the package")
    add_runs(parser, ENOUGH_RUNS)
    parser.add_argument(
        "--warmup", type=Number(0, 100_000), default=10, metavar="N", help="runs before them (default: 10)"
    )
    add_batch(parser, (1, 2, 4, 8, 16), "profile measures the throughput of each")
    add_json(parser, "; --compare reads the file")
    add_html(parser)
    parser.add_argument(
        "--trace", type=Path, metavar="PATH", help="write all spans for ui.perfetto.dev or chrome://tracing"
    )
    parser.add_argument(
        "--compare",
        type=Path,
        nargs=2,
        metavar=("A", "B"),
        help="compare two reports stage by stage instead of measuring: faster, slower or undecided",
    )
    parser.set_defaults(run=run)


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not WxH, as 1280x720") from None
    if not (16 <= width <= 16384 and 16 <= height <= 16384):
        raise argparse.ArgumentTypeError(f"{text!r}: expected 16 to 16384 pixels a side")
    return width, height


def ends(ranges: Ranges) -> tuple[int, ...]:
    """Return the first and last number of each range, each once, in ascending order."""
    return tuple(sorted({number for both in ranges for number in both}))


def repeating_command(options: argparse.Namespace) -> str:
    """Return the command of the same measurement, with every default written out."""
    words = ["evitsam", "profile", "--model", options.model, "--backend", options.backend]
    words += ["--precision", options.precision]
    words += ["--semantic-model", options.semantic_model] if options.semantic_model else []
    words += ["--threads", str(options.threads)]
    words += ["--size", "{}x{}".format(*options.size)] if options.size else []
    for name, counts in (("--prompts", ends(options.prompts)), ("--batch", options.batch)):
        words += [name, ",".join(str(count) for count in counts)]
    words += ["--max-prompts", str(options.max_prompts), "--runs", str(options.runs)]
    words += ["--closer-looks", str(options.closer_looks)]
    words += ["--warmup", str(options.warmup), "--images", *options.images]
    return shlex.join(words)


def run(options: argparse.Namespace) -> int:
    """Measure a profile, or compare two reports; return the exit code."""
    if options.compare:
        return _compare(options)
    from ..profiler.offline import Options, profile
    from ..profiler.page import check_libraries, report_page, write_page
    from ..profiler.schema import as_json
    from ..profiler.table import render
    from ..profiler.trace import write_trace

    if options.html:  # before a measurement of minutes
        check_libraries()
    report, spans = profile(
        Options(
            command=repeating_command(options),
            model=options.model,
            semantic_model=options.semantic_model,
            backend=options.backend,
            precision=options.precision,
            threads=options.threads,
            size=options.size,
            prompts=ends(options.prompts),
            max_prompts=options.max_prompts,
            closer_looks=options.closer_looks,
            images=tuple(options.images),
            runs=options.runs,
            warmup=options.warmup,
            batches=options.batch,
        ),
        _show_progress,
    )
    print(render(report))
    if options.json:
        options.json.write(as_json(report))
    if options.html:
        write_page(report_page(report), options.html)
    if options.trace:
        write_trace(spans, report, options.trace)
    return 0


def _compare(options: argparse.Namespace) -> int:
    from ..profiler.compare import compare, render_comparison
    from ..profiler.page import comparison_page, write_page
    from ..profiler.schema import read_report

    if options.json or options.trace:
        raise ValueError("--compare only reads files: expected no --json and no --trace, or only --html")
    a, b = (read_report(path) for path in options.compare)
    first, second = (str(path) for path in options.compare)
    names, result = (first, second), compare(a, b)
    print(render_comparison(result, names))
    if options.html:
        write_page(comparison_page(result, a, b, names), options.html)
    return 0


def _show_progress(done: int, of: int) -> None:
    """Show a counting line, for terminals only."""
    if sys.stderr.isatty():
        print(f"\rrun {done} of {of}", end="\n" if done == of else "", file=sys.stderr, flush=True)
