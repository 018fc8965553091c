# SPDX-License-Identifier: Apache-2.0
"""Check a command's output paths before it begins its work."""

from __future__ import annotations

import sys
import tempfile
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from .options import JsonOutput

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

#: Options of output paths; every other path is read.
OUTPUTS = ("out", "json", "html", "trace", "labels", "coco")


class OutputError(ValueError):
    """A place that cannot be written to."""


def check_outputs(options: argparse.Namespace) -> None:
    """Check all paths that a command was given.

    Raises:
        OutputError: an output is one of the inputs or another output, or a report cannot be written.
    """
    outputs = {name: path for name in OUTPUTS if (path := _file(getattr(options, name, None)))}
    inputs = list(_paths([value for name, value in vars(options).items() if name not in OUTPUTS]))
    for name, path in outputs.items():
        if any(_same(path, other) for other in inputs):
            raise OutputError(f"--{name} {path} is the input, which is never written over")
        for other, place in outputs.items():
            if other < name and _same(path, place):
                raise OutputError(f"--{other} and --{name} are both {path}; expected different files")
        if name != "out":  # what that may be depends on the command
            check_file(path)


def _file(value: object) -> Path | None:
    """Return the file that an output option names, if it names one."""
    if isinstance(value, JsonOutput):
        return None if value.to_stdout else value.path
    return value if isinstance(value, Path) else None


@contextmanager
def text_beside_json(options: argparse.Namespace) -> Iterator[None]:
    """Print the text of a command to stderr while its JSON goes to stdout."""
    output = getattr(options, "json", None)
    if not (output and output.to_stdout):
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def check_file(path: Path) -> None:
    """Raise ``OutputError`` unless a file can be written there; its folder has to exist."""
    if path.is_dir():
        raise OutputError(f"{path} is a folder; expected a file")
    check_folder(path.parent, path)
    if path.exists():
        try:
            path.open("ab").close()
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror}") from error


def check_folder(folder: Path, path: Path) -> None:
    """Raise ``OutputError`` unless ``path`` can be made in a folder, which has to exist."""
    if not folder.is_dir():
        raise OutputError(f"{path} cannot be written: there is no folder {folder}")
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error


def _paths(values: object) -> Iterator[Path]:
    if isinstance(values, Path):
        yield values
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _paths(value)


def _same(a: Path, b: Path) -> bool:
    return a.samefile(b) if a.exists() and b.exists() else a.resolve() == b.resolve()
