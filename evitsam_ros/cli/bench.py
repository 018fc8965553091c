# SPDX-License-Identifier: Apache-2.0
"""Run ``evitsam bench``."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from .options import add_everything, add_html, add_images, add_json, add_model, add_runs, add_threads

if TYPE_CHECKING:
    import argparse

    from ..profiler.measurements import Suite


def add(commands) -> None:
    """Add the command and its options."""
    parser = commands.add_parser("bench", help="compare the installed runtimes on this machine")
    add_model(parser)
    add_everything(parser, ": compare it with grids of prompts, and a box prompt with its lower bound")
    add_images(parser, "example", "a photograph of the package; bench takes the first image")
    add_runs(parser, 20)
    add_threads(parser)
    add_json(parser, "; 'evitsam profile --compare' reads the file")
    add_html(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure the installed runtimes; return the exit code."""
    from ..profiler.collect import report_of
    from ..profiler.page import check_libraries, report_page, write_page
    from ..profiler.peak_rates import cpus
    from ..profiler.schema import as_json
    from ..profiler.sensors import Watch
    from ..profiler.table import render

    if options.html:  # before a measurement of minutes
        check_libraries()
    with Watch(cpus()) as watch:
        name, suite = _measure(options)
        watch.sample()
    report = report_of(_repeating_command(options), watch, suites={name: suite})
    print(render(report))
    if options.json:
        options.json.write(as_json(report))
    if options.html:
        write_page(report_page(report), options.html)
    return 0


def _measure(options: argparse.Namespace) -> tuple[str, Suite]:
    """Return the name and the figures of the requested suite."""
    if not options.everything:
        from ..profiler.networks import measure_networks

        return "networks", measure_networks(options.model, options.runs, options.threads)
    import numpy as np

    from ..io.sources import open_source
    from ..profiler.everything import everything_suite
    from ..segment import Segmenter

    frame = next(open_source(options.images[0], loop=False))
    segmenter = Segmenter.open(options.model, threads=options.threads)
    return "everything", everything_suite(segmenter, np.ascontiguousarray(frame[..., ::-1]), options.runs)


def _repeating_command(options: argparse.Namespace) -> str:
    words = ["evitsam", "bench", "--model", options.model, "--runs", str(options.runs)]
    words += ["--threads", str(options.threads)]
    words += ["--everything", "--images", options.images[0]] if options.everything else []
    return shlex.join(words)
