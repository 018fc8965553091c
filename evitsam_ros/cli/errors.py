# SPDX-License-Identifier: Apache-2.0
"""The one place where an exception becomes a line on stderr and an exit code."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEBUG = "EVITSAM_DEBUG"


def run_safely(name: str, command: Callable[[], int], debug: bool) -> int:
    """Run a command as :func:`report_errors` does, with its logged warnings on stderr.

    Args:
        name: before every line.
        command: returns an exit code, or exits as argparse does.
        debug: show the traceback as well.

    Returns:
        The command's exit code; 1 after an exception.
    """

    def with_warnings() -> int:
        with _warnings_after(name):
            return command()

    return report_errors(name, with_warnings, debug=debug)


def report_errors(
    name: str,
    command: Callable[[], int],
    *,
    debug: bool,
    exit_code: Callable[[BaseException], int] = lambda error: 1,
) -> int:
    """Run a command; an exception is one line on stderr.

    Args:
        name: before the line.
        command: returns an exit code, or exits as argparse does.
        debug: show the traceback as well.
        exit_code: returns the exit code of an exception.

    Returns:
        The command's exit code, or that of its exception.
    """
    try:
        _quiet_libraries()
        try:
            return command()
        finally:
            if sys.stdout:  # None if the shell has closed it
                sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as ``head``, has closed the pipe.
        _discard_stdout()
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, OSError):
            _discard_unwritable()
        if debug:
            traceback.print_exc()
        print(f"{name}: {one_line(error)}", file=sys.stderr)
        return exit_code(error)
    return 1


def is_debugging() -> bool:
    """Return whether tracebacks are asked for by the environment."""
    return os.environ.get(DEBUG, "") not in ("", "0")


def _discard_unwritable() -> None:
    """Discard what stdout still holds where it cannot be written, as on a full disk."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except (OSError, ValueError):
        _discard_stdout()


def _discard_stdout() -> None:
    """Send what stdout still holds nowhere: Python would fail again when it flushes at its end."""
    with suppress(OSError, ValueError):  # a stream without a descriptor of its own
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def one_line(error: BaseException) -> str:
    """Return the message of an exception in one line."""
    text = " ".join(str(getattr(error, "err", None) or error).split())  # OpenCV's own words
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, MemoryError):
        return f"not enough memory{f': {text}' if text else ''}"
    if isinstance(error, ImportError):
        return f"{text}; 'evitsam doctor' has the install command"
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    if isinstance(error, ValueError | OSError) and text:
        return text
    return f"{type(error).__name__}: {text}; {DEBUG}=1 shows where"


@contextmanager
def _warnings_after(name: str) -> Iterator[None]:
    """Print logged warnings to stderr, each after the command's name."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(f"{name}: %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


def _quiet_libraries() -> None:
    """Native libraries keep their own lines to themselves; any file name can be printed."""
    import cv2

    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    if logs := getattr(getattr(cv2, "utils", None), "logging", None):  # not in every OpenCV
        logs.setLogLevel(logs.LOG_LEVEL_SILENT)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # names may be no UTF-8, and the terminal no Unicode
            stream.reconfigure(errors="backslashreplace")
