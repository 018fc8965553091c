# SPDX-License-Identifier: Apache-2.0
"""Hashes of files for which none was published: the first download is trusted once and recorded."""

from __future__ import annotations

import datetime
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from .errors import FetchError

if TYPE_CHECKING:
    from pathlib import Path

#: In the data folder: file name in the catalogue -> record.
RECORDS = "trusted.json"


@dataclass(frozen=True)
class Record:
    """Describe a trusted file.

    Attributes:
        sha256: hexadecimal.
        size: bytes.
        origin: URL or path that it came from.
        date: ISO 8601, UTC.
    """

    sha256: str
    size: int
    origin: str
    date: str


def recorded(folder: Path, name: str) -> Record | None:
    """Look up the trusted files of a catalogue name.

    Raises:
        FetchError: the records cannot be read.
    """
    entry = _read(folder / RECORDS).get(name)
    try:
        return Record(**entry) if entry is not None else None
    except TypeError as error:
        raise FetchError(f"{folder / RECORDS}: the entry {name!r} is damaged; delete it") from error


def trust(folder: Path, name: str, sha256: str, size: int, origin: str) -> None:
    """Record a hash; the records are replaced at once or not at all."""
    path = folder / RECORDS
    date = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    records = {**_read(path), name: asdict(Record(sha256, size, origin, date))}
    beside = path.with_name(f".{RECORDS}.new")
    beside.write_text(json.dumps(records, indent=2) + "\n")
    beside.replace(path)


def _read(path: Path) -> dict:
    try:
        records = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise FetchError(f"{path} cannot be read ({error}); repair or delete it") from error
    if not isinstance(records, dict):
        raise FetchError(f"{path} is not a JSON object of records; repair or delete it")
    return records
