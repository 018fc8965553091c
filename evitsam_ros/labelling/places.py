# SPDX-License-Identifier: Apache-2.0
"""Paths and URLs by the file systems of pyarrow: local, S3, GCS."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from .job import JobError

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo, FileSystem

#: Kinds of entries, by pyarrow's names. A device or a pipe is none of them, and counts as missing.
FILE, FOLDER, MISSING = "File", "Directory", "NotFound"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_url(text: str) -> bool:
    """Return whether an input is a URL and not a path."""
    return bool(_URL.match(text))


def import_pyarrow() -> Any:
    """Return pyarrow.

    Raises:
        JobError: It is not installed.
    """
    try:
        import pyarrow
        import pyarrow.fs
        import pyarrow.parquet
    except ImportError as error:
        raise JobError(
            f"labels are written as Parquet, which needs pyarrow ({error}); pip install 'evitsam_ros[label]'"
        ) from error
    return pyarrow


@dataclass(frozen=True)
class Entry:
    """What is at a place: its kind, and the bytes of a file."""

    kind: str
    size: int = 0

    @classmethod
    def of(cls, info: FileInfo) -> Entry:
        """Return the entry of pyarrow's description."""
        return cls(info.type.name, info.size or 0)


def _local_entry(path: Path) -> Entry:
    """Look at a local path by Python: pyarrow raises at names that are not UTF-8."""
    if path.is_dir():
        return Entry(FOLDER)
    return Entry(FILE, path.stat().st_size) if path.is_file() else Entry(MISSING)


class Place:
    """A path or URL, opened: a file system and a path in it.

    Args:
        text: a local path, or a URL as ``s3://bucket/key?endpoint_override=...``.

    Raises:
        JobError: The scheme is unknown, or the URL holds credentials.
    """

    def __init__(self, text: str) -> None:
        self.text, self.query = text, ""
        if not is_url(text):
            self.is_local, self.path = True, str(Path(text).absolute())
            self.fs: FileSystem = _local()
            return
        parts = urlsplit(text)
        if parts.scheme == "file":
            self.is_local, self.path = True, unquote(parts.path)
            self.fs = _local()
            return
        if "@" in parts.netloc:
            raise JobError(
                f"the URL of {parts.netloc.rpartition('@')[2]} holds credentials, which would be written "
                "into the rows; give them by the environment (AWS_ACCESS_KEY_ID, ...)"
            )
        self.is_local, self.query = False, f"?{parts.query}" if parts.query else ""
        self.fs, self.path = _opened(text)

    def join(self, name: str) -> Place:
        """Return the place of a name below this one."""
        if self.is_local:
            return Place(str(Path(self.path, name)))
        base = self.text.partition("?")[0].rstrip("/")
        return Place(f"{base}/{name}{self.query}")

    @property
    def source(self) -> str:
        """Name of the place in units and rows: an absolute path, or the URL."""
        return self.path if self.is_local else self.text

    @property
    def local(self) -> Path:
        """The path of a local place."""
        return Path(self.path)

    def info(self) -> Entry:
        """Return kind and size.

        Raises:
            OSError: The file system cannot be reached.
        """
        if self.is_local:
            return _local_entry(self.local)
        return Entry.of(self.fs.get_file_info(self.path))

    def exists(self) -> bool:
        """Return whether there is a file or folder."""
        return self.info().kind != MISSING

    def is_folder(self) -> bool:
        """Return whether it is a folder, or a prefix of an object store."""
        return self.info().kind == FOLDER

    def listed(self, *, recursive: bool = False) -> list[tuple[str, Entry]]:
        """Return the entries below a folder, sorted: path relative to it, and kind and size."""
        if self.is_local:
            paths = self.local.rglob("*") if recursive else self.local.glob("*")
            found = ((str(path.relative_to(self.local)), _local_entry(path)) for path in paths)
            return sorted(found, key=lambda pair: pair[0])
        from pyarrow.fs import FileSelector

        infos = self.fs.get_file_info(FileSelector(self.path, recursive=recursive, allow_not_found=True))
        start = len(self.path.rstrip("/")) + 1
        return sorted(((info.path[start:], Entry.of(info)) for info in infos), key=lambda pair: pair[0])

    def read_bytes(self) -> bytes:
        """Read a file.

        Raises:
            OSError: It cannot be read.
        """
        if self.is_local:
            return self.local.read_bytes()
        with self.fs.open_input_stream(self.path) as stream:
            return stream.read()

    def copy_to(self, target: Path) -> None:
        """Copy a file, or a folder with its files, to a local path.

        Raises:
            OSError: It cannot be read.
        """
        if self.is_folder():
            target.mkdir()
            for name, info in self.listed():
                if info.kind == FILE:
                    self.join(name).copy_to(target / name)
            return
        with self.fs.open_input_stream(self.path) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)


def _local() -> Any:
    return import_pyarrow().fs.LocalFileSystem()


def _opened(text: str) -> tuple[Any, str]:
    pyarrow = import_pyarrow()
    try:
        return pyarrow.fs.FileSystem.from_uri(text)
    except (OSError, ValueError) as error:  # pyarrow's own errors are subclasses
        raise JobError(f"{text} cannot be opened: {error}") from error
