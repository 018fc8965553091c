# SPDX-License-Identifier: Apache-2.0
"""``evitsam fetch``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .options import path

if TYPE_CHECKING:
    import argparse

    from ..catalogue import RemoteFile


def add(commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "fetch", help="download official weights and install them as a bundle (exporting needs torch)"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a name that --list shows")
    parser.add_argument("--all", action="store_true", help="all models that this version can export")
    parser.add_argument(
        "--list", action="store_true", help="list names, sizes, licences and installed models"
    )
    parser.add_argument(
        "--accept-licence", action="store_true", help="accept licences that forbid commercial use"
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--mirror", default="", metavar="URL", help="folder that has the files")
    source.add_argument(
        "--from",
        dest="brought",
        type=path,
        metavar="PATH",
        help="a checkpoint, a file of 'evitsam pack', a bundle, or a folder with them, instead of a download",
    )
    parser.add_argument(
        "--download-only", action="store_true", help="keep the checked file, make no bundle; needs no torch"
    )
    parser.add_argument("--again", action="store_true", help="also where the bundle is installed already")
    parser.add_argument(
        "--storage", choices=("fp32", "fp16"), default="fp32", help="precision of the stored weights"
    )
    parser.add_argument("--with-weights", action="store_true", help="also write model.safetensors")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    if options.list:
        return _list()
    if options.all == bool(options.names) and not (options.brought and not options.names):
        raise ValueError("give names, or --all, or --from PATH; 'evitsam fetch --list' shows the names")
    return _fetch(options)


def _fetch(options: argparse.Namespace) -> int:
    from ..fetch.fetch import FetchOptions, fetch_named, install_brought
    from ..fetch.install import ExportOptions

    wanted = FetchOptions(
        accept_licence=options.accept_licence,
        mirror=options.mirror,
        brought=options.brought,
        download_only=options.download_only,
        again=options.again,
        export=ExportOptions(options.storage, options.with_weights),
    )
    if not options.names and not options.all:
        print(install_brought(options.brought, wanted, _log))
        return 0
    names = _all_names(options.accept_licence) if options.all else options.names
    failed = []
    for name in names:
        try:
            print(fetch_named(name, wanted, _log))
        except (ValueError, OSError) as error:
            if len(names) == 1:
                raise
            failed.append(name)
            _log(f"{name}: {error}")
    if failed:
        raise ValueError(f"{len(failed)} of {len(names)} could not be fetched: {', '.join(failed)}")
    return 0


def _all_names(accept_licence: bool) -> list[str]:
    from ..catalogue import CATALOGUE

    names = []
    for file in CATALOGUE.values():
        if not file.exportable:
            continue
        if file.licence.non_commercial and not accept_licence:
            _log(f"{file.name} is left out: {file.licence.name}; --accept-licence accepts it")
            continue
        names.append(file.name)
    return names


def _list() -> int:
    from ..bundle import installed_bundles
    from ..catalogue import CATALOGUE

    installed = installed_bundles()
    print(f"{'name':30} {'size':>8}  {'hash':9}  {'licence':34}  state")
    for file in CATALOGUE.values():
        size = f"{file.size / 1e6:.0f} MB" if file.size else "?"
        known = "published" if file.sha256 else "trusted"
        place = installed.get(file.name)
        print(f"{file.name:30} {size:>8}  {known:9}  {file.licence.name:34}  {place or _state(file)}")
    print("hash 'trusted': none was published; the first download is trusted and recorded")
    return 0


def _state(file: RemoteFile) -> str:
    return "not installed" if file.exportable else f"file only: {file.about}"


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
