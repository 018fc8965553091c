# SPDX-License-Identifier: Apache-2.0
"""Read a JSON object from a file that may be damaged, huge, or not JSON."""

from __future__ import annotations

import gc
import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .records import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator


def read_json(file: Path, expected: str) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        file: path of the file.
        expected: expected content of the file, for the message ("a COCO instances file").

    Raises:
        DataError: the file cannot be read, is not a JSON object, or needs more than the available memory.
    """
    try:
        if not file.is_file():
            raise DataError(f"{file}: expected {expected}; there is no such file")
        with file.open("rb") as opened:
            opening = opened.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
            if not opening.startswith(b"{"):
                raise DataError(f"{file}: expected {expected}, a JSON object; found {opening[:8]!r}...")
            _check_memory(2 * file.stat().st_size, str(file), expected)
            opened.seek(0)
            content = opened.read()
    except OSError as error:
        raise DataError(f"{file}: expected {expected}; it cannot be read ({error.strerror})") from error
    except MemoryError as error:
        raise DataError(f"{file}: expected {expected}; it is too large for the memory") from error
    return parse_json(content, str(file), expected)


def parse_json(content: bytes, name: str, expected: str) -> dict[str, Any]:
    """Parse the bytes of a JSON object in UTF-8.

    Args:
        content: the bytes.
        name: origin of the bytes, for the message.
        expected: expected content, for the message.

    Raises:
        DataError: the bytes are not a JSON object.
    """
    _check_memory(estimate_memory(content), name, expected)
    try:
        with _no_collection():
            found = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        fault = f"it is not UTF-8 at byte {error.start}"
    except json.JSONDecodeError as error:
        fault = f"it is not JSON: {error.msg} at line {error.lineno} column {error.colno}"
    except RecursionError:
        fault = "it is nested too deeply"
    except MemoryError:
        fault = "it is too large for the memory"
    except ValueError as error:  # a number with thousands of digits
        fault = f"it holds a number that cannot be read ({error})"
    else:
        if isinstance(found, dict):
            return found
        fault = f"a JSON object; found a {type(found).__name__}"
    raise DataError(f"{name}: expected {expected}; {fault}")


def estimate_memory(content: bytes) -> int:
    """Estimate an upper bound of the bytes of JSON as text and as Python objects."""
    lists, objects, entries = (content.count(sign) for sign in (b"[", b"{", b","))
    return 3 * len(content) + 72 * lists + 240 * objects + 48 * entries


def _check_memory(needed: int, name: str, expected: str) -> None:
    if needed > (free := available_memory()):
        raise DataError(
            f"{name}: expected {expected}; it needs some {needed / 1e9:.1f} GB of memory, "
            f"{free / 1e9:.1f} GB are free: split the file"
        )


@contextmanager
def _no_collection() -> Iterator[None]:
    """Pause the collection of reference cycles: a parser makes none, and it takes half of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def available_memory() -> float:
    """Return the bytes available without swapping, here or in this container; infinite if unknown."""
    free = float("inf")
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = min(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
        group = Path("/sys/fs/cgroup")
        limit, used = ((group / f"memory.{part}").read_text().strip() for part in ("max", "current"))
        free = min(free, int(limit) - int(used))
    except (OSError, ValueError):  # not Linux, or no limit ("max")
        pass
    return free
