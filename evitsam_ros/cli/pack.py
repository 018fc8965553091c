# SPDX-License-Identifier: Apache-2.0
"""``evitsam pack``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .options import add_model, add_out
from .outputs import check_file

if TYPE_CHECKING:
    import argparse


def add(commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "pack", help="a bundle as one .tar with its hashes, for 'evitsam fetch --from' on another machine"
    )
    add_model(parser, required=True)
    add_out(parser, "a .tar file (default: NAME.tar)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..bundle import find_bundle, sha256
    from ..fetch.pack import pack_bundle

    folder = find_bundle(options.model)
    out = options.out or Path(f"{folder.resolve().name}.tar")
    if out.suffix != ".tar":
        raise ValueError(f"{out} has another ending; expected NAME.tar")
    check_file(out)
    pack_bundle(folder, out)
    print(f"{out} ({out.stat().st_size / 1e6:.1f} MB), SHA-256 {sha256(out)}")
    return 0
