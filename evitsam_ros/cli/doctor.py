# SPDX-License-Identifier: Apache-2.0
"""``evitsam doctor``."""

from __future__ import annotations

import argparse


def add(commands) -> None:
    parser = commands.add_parser("doctor", help="what is installed, what is missing, and how to add it")
    parser.add_argument("--json", action="store_true", help="machine-readable")


def run(options: argparse.Namespace) -> int:
    from ..doctor import main as doctor

    return doctor(as_json=options.json)
