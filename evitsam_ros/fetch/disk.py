# SPDX-License-Identifier: Apache-2.0
"""Check for disk space before it is needed, and report a full disk in one line."""

from __future__ import annotations

import errno
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .errors import FetchError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_REMEDY = "free some space, or set XDG_DATA_HOME to a folder on another disk"


def check_space(folder: Path, needed: float) -> None:
    """Check that ``needed`` bytes are free in ``folder``, which exists.

    Raises:
        FetchError: they are not.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise FetchError(
            f"{folder}: {needed / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB are free; {_REMEDY}"
        )


@contextmanager
def full_disk_named(folder: Path) -> Iterator[None]:
    """Raise :class:`FetchError` with the folder where the disk, or a quota of it, is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise FetchError(f"{folder}: the disk is full; {_REMEDY}") from error
