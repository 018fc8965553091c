# SPDX-License-Identifier: Apache-2.0
"""Whether a file is the one that the catalogue names: by its size and its SHA-256."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..bundle import sha256
from ..catalogue import CATALOGUE, RemoteFile
from .errors import FetchError
from .trust import RECORDS, recorded, trust

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def verify(path: Path, file: RemoteFile, data: Path, origin: str, log: Callable[[str], None]) -> str:
    """Check a file against the catalogue, or against the trusted files.

    Args:
        path: the file on disk.
        file: expected file.
        data: the data folder, with the records of trusted files.
        origin: its origin, for messages and the record.
        log: takes one line.

    Returns:
        Its SHA-256.

    Raises:
        FetchError: it is another file; the message names which, where that is known.
    """
    size, digest = path.stat().st_size, sha256(path)
    if digest in file.refused:
        raise FetchError(
            f"{origin} is {file.refused[digest]}; expected {file.file_name} with SHA-256 {file.sha256}: "
            f"'evitsam fetch {file.name}' downloads it"
        )
    if file.sha256 is not None:
        if digest != file.sha256:
            raise FetchError(
                f"{origin} is not {file.file_name}: it is {_known(digest, size)}; expected SHA-256 "
                f"{file.sha256}"
            )
        return digest
    if not file.fits(size):
        raise FetchError(f"{origin} has {size} bytes; expected {file.size} ({file.file_name})")
    if (record := recorded(data, file.name)) is None:
        trust(data, file.name, digest, size, origin)
        log(
            f"no hash of {file.file_name} was published: this one is trusted and recorded in "
            f"{data / RECORDS}: SHA-256 {digest}"
        )
    elif record.sha256 != digest:
        raise FetchError(
            f"{origin} is not the {file.file_name} that was trusted on {record.date[:10]}: SHA-256 {digest}, "
            f"recorded {record.sha256}; to trust the new file delete {file.name!r} from {data / RECORDS}"
        )
    return digest


def identify(digest: str) -> RemoteFile | None:
    """Find the catalogue's file with a SHA-256."""
    return next((file for file in CATALOGUE.values() if file.sha256 == digest), None)


def _known(digest: str, size: int) -> str:
    if other := identify(digest):
        return f"{other.path}, the file of '{other.name}'"
    for file in CATALOGUE.values():
        if digest in file.refused:
            return file.refused[digest]
    return f"{size} bytes with SHA-256 {digest}"
