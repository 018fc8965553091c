# SPDX-License-Identifier: Apache-2.0
"""The command ``evitsam``: its parser, and what runs for each of its commands."""

from __future__ import annotations

import argparse
import os
import re
import sys

from .. import __version__
from ..profiler.commands import add_profile, run_profile
from ..tensorrt.commands import add_commands, run_build, run_engines, run_verify
from . import bag, bench, doctor, export, models, segment, upscale
from .errors import DEBUG, run_safely
from .outputs import check_outputs


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="evitsam", description="Segment anything on a robot.")
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument(
        "--traceback", action="store_true", help=f"after an error, show where it was ({DEBUG}=1 does as well)"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    segment.add(commands)
    upscale.add(commands)
    bag.add(commands)
    models.add(commands)
    export.add(commands)
    add_commands(commands)
    bench.add(commands)
    add_profile(commands)
    doctor.add(commands)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run a command; returns 0, or 1 with one line on stderr when something is wrong."""
    words = _joined(sys.argv[1:] if argv is None else argv)
    name = next((f"evitsam {word}" for word in words if word in _RUN), "evitsam")
    debug = "--traceback" in words or os.environ.get(DEBUG, "") not in ("", "0")
    if "--traceback" in words:  # wherever it stands
        words = ["--traceback", *(word for word in words if word != "--traceback")]

    def command() -> int:
        options = build_parser().parse_args(words)
        check_outputs(options)
        return _RUN[options.command](options)

    return run_safely(name, command, debug)


def _joined(words: list[str]) -> list[str]:
    """Bring coordinates that begin with a minus to their option, as ``--box=-20,0,330,505``.

    argparse would take them for options.
    """
    joined: list[str] = []
    for word in words:
        if re.match(r"-[\d.][^,]*,", word) and joined and re.fullmatch(r"--[a-z-]+", joined[-1]):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


_RUN = {
    "segment": segment.run,
    "upscale": upscale.run,
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
