# SPDX-License-Identifier: Apache-2.0
"""A bundle as one ``.tar``, with the SHA-256 of every file, for machines without torch or network."""

from __future__ import annotations

import io
import os
import re
import tarfile
import tempfile
from pathlib import Path

from ..bundle import DESCRIPTION, sha256
from ..dense.bundle import open_any_bundle
from .errors import FetchError

#: Beside the bundle's files, in the form of ``sha256sum``; the first member, so that it can be read first.
SUMS = "SHA256SUMS"
#: Names of bundles and of their files that are packed and unpacked.
NAME = re.compile(r"\w[\w.-]*", re.ASCII)


def pack_bundle(name_or_folder: str | Path, out: Path) -> Path:
    """Write a checked bundle as a tar file, atomically.

    The same bundle gives the same bytes: without dates and owners. Hidden files are skipped.

    Args:
        name_or_folder: the bundle.
        out: the tar file; an old one is replaced.

    Raises:
        BundleError: there is no such bundle, or it is damaged.
        FetchError: the folder or a file has a name that could not be unpacked.
    """
    bundle = open_any_bundle(name_or_folder)
    name = bundle.folder.resolve().name
    files = sorted(path for path in bundle.folder.iterdir() if path.is_file() and path.name[0] != ".")
    files = [path for path in files if path.name != SUMS]
    for each in (name, *(path.name for path in files)):
        if not NAME.fullmatch(each):
            raise FetchError(
                f"{bundle.folder}: the name {each!r} cannot be packed; "
                "expected letters, digits, '_', '-' or '.'"
            )
    sums = "".join(f"{sha256(path)}  {path.name}\n" for path in files)
    descriptor, text = tempfile.mkstemp(prefix=f".{out.name}-", dir=out.parent)
    beside = Path(text)
    try:
        with os.fdopen(descriptor, "wb") as raw, tarfile.open(fileobj=raw, mode="w") as tar:
            _add_bytes(tar, f"{name}/{SUMS}", sums.encode())
            # The description first: it can be read without reading the rest.
            for path in sorted(files, key=lambda path: path.name != DESCRIPTION):
                _add_file(tar, f"{name}/{path.name}", path)
        beside.chmod(0o644)
        beside.replace(out)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return out


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    tar.addfile(_member(name, len(content)), io.BytesIO(content))


def _add_file(tar: tarfile.TarFile, name: str, path: Path) -> None:
    with path.open("rb") as file:  # a link is packed as what it points to
        tar.addfile(_member(name, path.stat().st_size), file)


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o644, 0
    return member
