# SPDX-License-Identifier: Apache-2.0
"""Check a command's output paths before it begins its work."""

from __future__ import annotations

import os
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
OUTPUTS = ("out", "json", "html", "trace", "labels", "coco", "write_prompts")
#: Options that are read as text: a path, a URL, or an example.
SOURCES = ("inputs", "images", "sequence")
#: Folder of a data set with files to read, of any suffix.
ANNOTATIONS = "annotations"


class OutputError(ValueError):
    """A place that cannot be written to."""


def check_outputs(options: argparse.Namespace) -> None:
    """Check all paths that a command was given.

    Raises:
        OutputError: an output is one of the inputs or another output, or a report cannot be written.
    """
    outputs = {name: path for name in OUTPUTS if (path := _file(getattr(options, name, None)))}
    inputs = list(_paths([value for name, value in vars(options).items() if name not in OUTPUTS]))
    inputs += [Path(text) for name in SOURCES for text in _texts(getattr(options, name, None))]
    for name, path in outputs.items():
        if any(_same(path, other) for other in inputs):
            raise OutputError(f"--{name} {path} is the input, which is never written over")
        if (folder := next((other for other in inputs if _is_read_from(path, other)), None)) is not None:
            raise OutputError(f"--{name} {path} is a file of the input {folder}; expected another place")
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


def _texts(values: object) -> Iterator[str]:
    for value in values if isinstance(values, list | tuple) else [values]:
        if isinstance(value, str):
            yield value


def _is_read_from(path: Path, folder: Path) -> bool:
    """Return whether a file that exists is an image or an annotation file in a folder."""
    if not (path.is_file() and folder.is_dir()):
        return False
    from ..io.image_files import IMAGES  # not before it is needed: it imports OpenCV

    place, above = path.resolve(), folder.resolve()
    if not place.is_relative_to(above):
        return False
    return path.suffix.lower() in IMAGES or place.relative_to(above).parts[0] == ANNOTATIONS


def _same(a: Path, b: Path) -> bool:
    # Path.resolve raises where links form a loop.
    return a.samefile(b) if a.exists() and b.exists() else os.path.realpath(a) == os.path.realpath(b)
