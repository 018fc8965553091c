# SPDX-License-Identifier: Apache-2.0
"""One fetch at a time in a data folder: a second one waits for the first."""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: In the data folder. The kernel releases the lock when its process ends, however that happens.
LOCK = "fetch.lock"


@contextmanager
def one_at_a_time(folder: Path, log: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of ``folder``, which is made if it does not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log(f"another 'evitsam fetch' is at work in {folder}; waiting until it has ended")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
