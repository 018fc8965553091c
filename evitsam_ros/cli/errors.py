# SPDX-License-Identifier: Apache-2.0
"""The one place where an exception becomes a line on stderr and an exit code."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEBUG = "EVITSAM_DEBUG"


def run_safely(name: str, command: Callable[[], int], debug: bool) -> int:
    """Run a command; an exception is one line on stderr.

    Args:
        name: before every line.
        command: returns an exit code, or exits as argparse does.
        debug: show the traceback as well.

    Returns:
        The command's exit code; 1 after an exception.
    """
    try:
        _quiet_libraries()
        try:
            with _warnings_after(name):
                return command()
        finally:
            if sys.stdout:  # None if the shell has closed it
                sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as ``head``, has closed the pipe. Python would fail when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            traceback.print_exc()
        print(f"{name}: {one_line(error)}", file=sys.stderr)
    return 1


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
