# SPDX-License-Identifier: Apache-2.0
"""Files that were brought by hand: on a stick, in a shared folder, in Hugging Face's cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..bundle import DESCRIPTION, sha256
from ..catalogue import CATALOGUE, RemoteFile
from .errors import FetchError
from .verify import identify

if TYPE_CHECKING:
    from pathlib import Path


def is_packed(place: Path) -> bool:
    """Return whether a path is a bundle as a file or as a folder, rather than a checkpoint."""
    return place.suffix == ".tar" or (place / DESCRIPTION).is_file()


def find_packed(place: Path, name: str) -> Path | None:
    """Find the bundle ``name`` at ``place``: itself a packed file or a bundle, or a folder that holds one."""
    candidates = (place, place / f"{name}.tar", place / name)
    return next((path for path in candidates if path.exists() and is_packed(path)), None)


def find_brought(place: Path, file: RemoteFile) -> Path:
    """Find a catalogue's file at ``place``: the file itself, or a folder that holds it at any depth.

    In a folder its name counts, or its SHA-256 as name, as shared folders of files by hash have it.

    Raises:
        FetchError: it is not there.
    """
    if place.is_file():
        return place
    if not place.is_dir():
        raise FetchError(f"{place} does not exist; expected {file.file_name} or a folder with it")
    exact = [place / file.path, place / file.file_name, *([place / file.sha256] if file.sha256 else [])]
    names = {file.file_name, file.sha256}
    for path in exact:
        if path.is_file():
            return path
    found = sorted(path for path in place.rglob("*") if path.name in names and path.is_file())
    if not found:
        wanted = f"{file.file_name}{f' or {file.sha256}' if file.sha256 else ''}"
        raise FetchError(f"{place} holds no {wanted}")
    # Several files of one name differ by folder: the hash identifies them.
    return next((path for path in found if file.sha256 and sha256(path) == file.sha256), found[0])


def name_of(place: Path) -> RemoteFile:
    """Recognise a checkpoint by its SHA-256.

    Raises:
        FetchError: it is no file, or none of the catalogue.
    """
    if not place.is_file():
        reason = "is a folder" if place.is_dir() else "does not exist"
        raise FetchError(f"{place} {reason}; expected NAME --from FOLDER, or a checkpoint or a packed bundle")
    digest = sha256(place)
    if file := identify(digest):
        return file
    for file in CATALOGUE.values():
        if digest in file.refused:
            raise FetchError(
                f"{place} is {file.refused[digest]}; 'evitsam fetch {file.name}' downloads the right one"
            )
    raise FetchError(
        f"{place} is no file of the catalogue (SHA-256 {digest}); name the model: "
        "'evitsam fetch NAME --from FILE', or 'evitsam export' for weights of your own"
    )
