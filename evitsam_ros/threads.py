# SPDX-License-Identifier: Apache-2.0
"""Wait for threads that ran native code."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading


def join_os_thread(thread: threading.Thread, timeout: float) -> bool:
    """Wait until a thread has ended for the operating system too.

    Before Python 3.13 ``Thread.join`` returns when the Python code has ended. Destructors of thread-local
    objects run after that: OpenVINO's write into the compiled model (its stream goes back to a queue), which
    must not be released before.

    Args:
        thread: a started thread.
        timeout: max seconds to wait.

    Returns:
        Whether the thread has ended. Without ``/proc`` (not Linux) the end of its Python code is taken.
    """
    end = time.monotonic() + timeout
    thread.join(timeout)
    if thread.is_alive():
        return False
    task = Path("/proc/self/task", str(thread.native_id))
    while task.exists():
        if time.monotonic() >= end:
            return False
        time.sleep(0.0005)
    return True
