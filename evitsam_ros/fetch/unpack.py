# SPDX-License-Identifier: Apache-2.0
"""Read a packed bundle of unknown origin: all content is checked before use."""

from __future__ import annotations

import hashlib
import re
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import yaml

from ..bundle import DESCRIPTION
from .disk import check_space
from .errors import FetchError
from .pack import NAME, SUMS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Of a member: one folder, which is the bundle's name, and a file in it.
_MEMBER = re.compile(rf"({NAME.pattern})/({NAME.pattern})", re.ASCII)
_SUM = re.compile(rf"([0-9a-f]{{64}}) [ *]({NAME.pattern})", re.ASCII)
#: Bytes of the small members that are read into memory.
_SMALL = 1 << 20
_BLOCK = 1 << 20


@dataclass(frozen=True)
class PackedBundle:
    """Describe a tar file with checked members; their content is not checked yet.

    Attributes:
        path: the tar file.
        name: of the bundle.
        description: its ``model.yaml``.
        sums: file name -> SHA-256 that the tar states.
        size: bytes of all files.
    """

    path: Path
    name: str
    description: dict
    sums: dict[str, str]
    size: int
    _tar: tarfile.TarFile
    _members: dict[str, tarfile.TarInfo]

    def extract(self, folder: Path) -> None:
        """Write all files into an empty folder and compare them with their hashes.

        Raises:
            FetchError: a file is not the one that was packed, or the disk is too small.
        """
        check_space(folder, self.size)
        for name, expected in self.sums.items():
            digest = hashlib.sha256()
            with (folder / name).open("xb") as out, _content(self._tar, self._members[name]) as source:
                while block := source.read(_BLOCK):
                    digest.update(block)
                    out.write(block)
            if digest.hexdigest() != expected:
                raise FetchError(
                    f"{self.path}: {name} was damaged or changed after packing: its SHA-256 is "
                    f"{digest.hexdigest()}, {SUMS} says {expected}"
                )


@contextmanager
def open_packed(path: Path) -> Iterator[PackedBundle]:
    """Open a packed bundle and check every member.

    Raises:
        FetchError: it is no packed bundle, truncated, or has a member that is a link, a device, outside of
            its folder, twice there or not in the list of hashes.
    """
    if not path.is_file():
        raise FetchError(f"{path} does not exist; expected a file of 'evitsam pack'")
    with _reading(path), tarfile.open(path, "r:") as tar:
        name, members = _members(path, tar)
        sums = _sums(path, _small(path, tar, members.pop(SUMS)))
        description = yaml.safe_load(_small(path, tar, members[DESCRIPTION]))
        if set(sums) != set(members):
            different = ", ".join(sorted(set(sums) ^ set(members)))
            raise FetchError(f"{path}: its files and its {SUMS} differ: {different}")
        if not isinstance(description, dict):
            raise FetchError(f"{path}: {DESCRIPTION} is not a bundle's description")
        size = sum(member.size for member in members.values())
        yield PackedBundle(path, name, description, sums, size, tar, members)


def _members(path: Path, tar: tarfile.TarFile) -> tuple[str, dict[str, tarfile.TarInfo]]:
    """Check the members; returns the bundle's name, and the members by file name."""
    members: dict[str, tarfile.TarInfo] = {}
    names = set()
    for member in tar:
        matched = _MEMBER.fullmatch(member.name)
        if not member.isreg() or member.issparse() or not matched:
            raise FetchError(f"{path}: the member {member.name!r} is not a plain file in the bundle's folder")
        if matched[2] in members:
            raise FetchError(f"{path}: the member {member.name!r} is there twice")
        names.add(matched[1])
        members[matched[2]] = member
    if len(names) != 1 or not {SUMS, DESCRIPTION} <= set(members):
        raise FetchError(
            f"{path} is not a packed bundle: expected one folder with {DESCRIPTION} and {SUMS}; 'evitsam "
            "pack' writes one"
        )
    return names.pop(), members


def _small(path: Path, tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    if member.size > _SMALL:
        raise FetchError(f"{path}: {member.name} has {member.size} bytes; expected at most {_SMALL}")
    with _content(tar, member) as content:
        return content.read().decode()


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(member)
    assert content is not None, "a regular file, as was checked"
    return content


def _sums(path: Path, text: str) -> dict[str, str]:
    sums: dict[str, str] = {}
    for line in text.splitlines():
        matched = _SUM.fullmatch(line)
        if not matched or matched[2] in sums:
            raise FetchError(f"{path}: {SUMS}: {line[:80]!r} is not a hash and a file name")
        sums[matched[2]] = matched[1]
    return sums


@contextmanager
def _reading(path: Path | str) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
        raise FetchError(
            f"{path} is not a packed bundle, or a truncated one ({' '.join(str(error).split())[:120]}); "
            "copy it again"
        ) from error
