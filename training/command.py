# SPDX-License-Identifier: Apache-2.0
"""How the training commands end: whatever is raised is one line on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evitsam_ros.cli.errors import is_debugging, report_errors

from .records import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

#: Exit codes: the data or the machine cannot be used; an option cannot.
UNUSABLE_DATA, UNUSABLE_OPTION = 1, 2


def run_command(program: str, job: Callable[[], int]) -> int:
    """Run a command's work; an exception is one line on stderr, with a traceback where EVITSAM_DEBUG=1.

    Args:
        program: name for the line.
        job: returns the exit code.

    Returns:
        Its exit code; 2 after a ``ValueError`` that is not about data, 1 after any other exception.
    """
    return report_errors(program, job, debug=is_debugging(), exit_code=_exit_code)


def _exit_code(error: BaseException) -> int:
    is_option = isinstance(error, ValueError) and not isinstance(error, DataError)
    return UNUSABLE_OPTION if is_option else UNUSABLE_DATA
