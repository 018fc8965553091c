# SPDX-License-Identifier: Apache-2.0
"""The command ``evitsam``: its parser, and what runs for each of its commands."""

from __future__ import annotations

import argparse
import sys

from .. import __version__
from ..profiler.commands import add_profile, run_profile
from ..tensorrt.commands import add_commands, run_build, run_engines, run_verify
from . import bag, bench, doctor, export, models, segment


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="evitsam", description="Segment anything on a robot.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    segment.add(commands)
    bag.add(commands)
    models.add(commands)
    export.add(commands)
    add_commands(commands)
    bench.add(commands)
    add_profile(commands)
    doctor.add(commands)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run a command; returns 0, or 1 with one line on stderr when the input is wrong."""
    options = build_parser().parse_args(argv)
    try:
        return _RUN[options.command](options)
    except ValueError as error:
        print(f"evitsam {options.command}: {error}", file=sys.stderr)
        return 1
    except ImportError as error:
        print(f"evitsam {options.command}: {error}; 'evitsam doctor' says how to install it", file=sys.stderr)
        return 1


_RUN = {
    "segment": segment.run,
    "bag": bag.run,
    "models": models.run,
    "export": export.run,
    "build": run_build,
    "verify": run_verify,
    "engines": run_engines,
    "bench": bench.run,
    "profile": run_profile,
    "doctor": doctor.run,
}
