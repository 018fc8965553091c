# SPDX-License-Identifier: Apache-2.0
"""``evitsam doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .options import add_json

if TYPE_CHECKING:
    import argparse


def add(commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "doctor", help="list installed and missing requirements, with install commands"
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..doctor import as_dict, as_text, findings, is_ready

    found = findings()
    if options.json:
        options.json.write(as_dict(found))
    if not (options.json and options.json.to_stdout):
        print(as_text(found))
    return 0 if is_ready(found) else 1
