# SPDX-License-Identifier: Apache-2.0
"""``evitsam doctor``."""

from __future__ import annotations

import argparse

from .options import add_json


def add(commands) -> None:
    parser = commands.add_parser("doctor", help="list what is installed and how to install what is missing")
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from ..doctor import as_dict, as_text, findings, is_ready

    found = findings()
    if options.json:
        options.json.write(as_dict(found))
    if not (options.json and options.json.to_stdout):
        print(as_text(found))
    return 0 if is_ready(found) else 1
