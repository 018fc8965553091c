# SPDX-License-Identifier: Apache-2.0
"""Download one file over HTTP: resume partial files, retry transient failures, reject other content.
``requests`` handles proxies, certificates, redirects and compression.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .disk import check_space, full_disk_named
from .errors import FetchError
from .responses import HTML, StalePartError, TransientError, UnreachableError, check_response, explain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import requests

    from ..catalogue import RemoteFile

#: Bytes read at once; of a connection that is cut off, less than one such block is lost.
BLOCK = 1 << 14
#: A file of unknown size that is longer than this, in bytes, is a server gone wrong.
_LONGEST = 16 * 10**9


@dataclass(frozen=True)
class Patience:
    """Configure time limits and retries of a download.

    Attributes:
        connect_s, read_s: time limits in seconds for connecting and for the next bytes.
        tries: max consecutive failures without a received byte.
        unreachable_tries: the same before the first reply of a server.
        pause_s: pause after the first failure in seconds, doubled after each further one.
        longest_pause_s: limit of a pause, also of one that a server asks for.
    """

    connect_s: float = 15.0
    read_s: float = 30.0
    tries: int = 6
    unreachable_tries: int = 3
    pause_s: float = 1.0
    longest_pause_s: float = 120.0


def download(
    url: str, part: Path, file: RemoteFile, log: Callable[[str], None], patience: Patience | None = None
) -> None:
    """Download ``url`` to ``part``; existing bytes are not downloaded again.

    Args:
        url: of the file.
        part: partial file; kept after a failure, so that the next call resumes.
        file: expected file, for its size.
        log: takes one line for each failure that is retried.
        patience: time limits and number of tries.

    Raises:
        FetchError: with the cause and the remedy in one line.
    """
    import requests

    patience = patience or Patience()
    failures, received = 0, False
    with requests.Session() as session:
        # Ranges count the bytes as they are sent: a compressed answer could not be resumed.
        session.headers.update({"Accept-Encoding": "identity", "User-Agent": "evitsam-fetch"})
        while True:
            before = _size(part)
            try:
                _attempt(session, url, part, file, patience)
                return
            except TransientError as error:
                progress = _size(part) > before
                failures, received = 1 if progress else failures + 1, received or progress
                waiting = isinstance(error, UnreachableError) and not received
                if failures >= (patience.unreachable_tries if waiting else patience.tries):
                    raise FetchError(f"{url}: {error}; gave up after {failures} tries") from error
                pause = error.retry_after or patience.pause_s * 2 ** (failures - 1)
                pause = min(pause, patience.longest_pause_s)
                log(f"{url}: {error}; next try in {pause:.0f} s")
                time.sleep(pause)


def _attempt(session: requests.Session, url: str, part: Path, file: RemoteFile, patience: Patience) -> None:
    """Make one request and write its body.

    Raises:
        TransientError: another try may succeed.
        FetchError: it would not.
    """
    import requests

    offset = _size(part)
    headers = {"Range": f"bytes={offset}-"} if offset else {}
    try:
        limits = (patience.connect_s, patience.read_s)
        with session.get(url, headers=headers, stream=True, timeout=limits) as response:
            start, total = check_response(response, offset, file)
            if start < offset:
                part.unlink()
            if start == total:
                return
            check_space(part.parent, (total or file.size or 0) - start)
            _receive_or_discard(response, part, start, total, file)
    except StalePartError:
        part.unlink(missing_ok=True)
        raise
    except requests.RequestException as error:
        raise explain(error, url) from error
    if total is not None and (size := _size(part)) < total:
        raise TransientError(f"the connection ended after {size} of {total} bytes")


def _receive_or_discard(
    response: requests.Response, part: Path, start: int, total: int | None, file: RemoteFile
) -> None:
    """Append the body to ``part``, which is deleted if there are too many bytes or the disk is full."""
    try:
        _receive(response, part, start, total, file)
    except FetchError:
        # A full disk is worse for a robot than downloading again.
        part.unlink(missing_ok=True)
        raise


def _receive(
    response: requests.Response, part: Path, start: int, total: int | None, file: RemoteFile
) -> None:
    """Append the body to ``part``."""
    from tqdm import tqdm

    longest = total or file.size or _LONGEST
    bar = tqdm(
        total=total or file.size,
        initial=start,
        desc=file.file_name,
        unit="B",
        unit_scale=True,
        disable=not sys.stderr.isatty(),
        leave=False,
    )
    with full_disk_named(part.parent), bar, part.open("ab") as out:
        written = start
        for block in response.iter_content(BLOCK):
            if not written and block.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
                raise TransientError(HTML)
            written += len(block)
            if written > longest * 1.01:
                raise FetchError(f"{response.url}: more than {longest} bytes came; expected {file.file_name}")
            out.write(block)
            bar.update(len(block))


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
