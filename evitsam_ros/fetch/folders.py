# SPDX-License-Identifier: Apache-2.0
"""Install bundles that were made elsewhere: packed as a file, or copied as a folder."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from ..dense.bundle import open_any_bundle
from .errors import FetchError
from .install import new_bundle
from .licences import check_licence, licence_of_bundle
from .unpack import open_packed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def install_packed(
    path: Path, models: Path, log: Callable[[str], None], expected: str = "", *, accept_licence: bool
) -> Path:
    """Install a file of ``evitsam pack``; returns the bundle's folder.

    ``expected`` is the name that the bundle has to have; empty: any.

    Raises:
        FetchError: the file does not pass the checks, or its licence was not accepted.
        BundleError: the content is not a bundle.
    """
    with open_packed(path) as packed:
        _check_name(path, packed.name, expected)
        licence = licence_of_bundle(packed.name, packed.description)
        check_licence(packed.name, licence, log, accepted=accept_licence)
        with new_bundle(models, packed.name) as folder:
            packed.extract(folder)
        return models / packed.name


def install_folder(
    path: Path, models: Path, log: Callable[[str], None], expected: str = "", *, accept_licence: bool
) -> Path:
    """Install a copy of a bundle's folder; returns the copy.

    ``expected`` is the name that the bundle has to have; empty: any.

    Raises:
        FetchError: its licence was not accepted.
        BundleError: it is damaged.
    """
    bundle = open_any_bundle(path)
    name = bundle.folder.resolve().name
    _check_name(path, name, expected)
    check_licence(name, licence_of_bundle(name, bundle.description), log, accepted=accept_licence)
    with new_bundle(models, name) as folder:
        for file in bundle.folder.iterdir():
            if file.is_file():
                shutil.copyfile(file, folder / file.name)
    return models / name


def _check_name(path: Path, name: str, expected: str) -> None:
    if expected and name != expected:
        raise FetchError(f"{path} is the bundle {name!r}; expected {expected!r}")
