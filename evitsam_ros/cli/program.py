# SPDX-License-Identifier: Apache-2.0
"""The command ``evitsam``: its parser, and the dispatch to its commands."""

from __future__ import annotations

import argparse
import os
import re
import sys

from .. import __version__
from . import (
    ask,
    bag,
    bench,
    build,
    doctor,
    export,
    fetch,
    label,
    models,
    pack,
    profile,
    quantize,
    segment,
    upscale,
)
from .deprecated import rewrite, settle_model
from .errors import DEBUG, is_debugging, run_safely
from .outputs import check_outputs, text_beside_json

COMMANDS = (
    *("segment", "ask", "upscale", "bag", "label", "models", "fetch", "pack", "export", "quantize"),
    *("build", "verify"),
    *("engines", "bench", "profile", "doctor"),
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; each command sets ``run``, which takes the parsed options."""
    parser = argparse.ArgumentParser(prog="evitsam", description="Segment anything on a robot.")
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument(
        "--traceback", action="store_true", help=f"show the traceback of an error (as {DEBUG}=1 does)"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (
        segment,
        ask,
        upscale,
        bag,
        label,
        models,
        fetch,
        pack,
        export,
        quantize,
        build,
        bench,
        profile,
        doctor,
    ):
        module.add(commands)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run a command.

    Returns:
        Its exit code; 1 after an error, which is one line on stderr.
    """
    if "_ARGCOMPLETE" in os.environ:
        _complete()
    words = _joined(sys.argv[1:] if argv is None else argv)
    name = next((f"evitsam {word}" for word in words if word in COMMANDS), "evitsam")
    debug = "--traceback" in words or is_debugging()
    if "--traceback" in words:  # accepted anywhere on the command line
        words = ["--traceback", *(word for word in words if word != "--traceback")]

    def command() -> int:
        options = build_parser().parse_args(rewrite(words, COMMANDS))
        settle_model(options)
        check_outputs(options)
        with text_beside_json(options):
            return options.run(options)

    return run_safely(name, command, debug)


def _complete() -> None:
    """Answer the shell and exit, where argcomplete is installed (``register-python-argcomplete evitsam``)."""
    try:
        import argcomplete
    except ImportError:
        return
    argcomplete.autocomplete(build_parser())


def _joined(words: list[str]) -> list[str]:
    """Join coordinates that begin with a minus to their option, as ``--box=-20,0,330,505``.

    argparse would take them for options.
    """
    joined: list[str] = []
    for word in words:
        if re.match(r"-[\d.][^,]*,", word) and joined and re.fullmatch(r"--[a-z-]+", joined[-1]):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined
