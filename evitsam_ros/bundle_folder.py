# SPDX-License-Identifier: Apache-2.0
"""Put a new bundle in the place of an old one: at no moment is the only copy of either in danger."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from .bundle import CHECKPOINT, DESCRIPTION, files_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def new_bundle(out: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes the bundle ``out`` at the end; it is removed after an error.

    Raises:
        ValueError: ``out`` is a file, or a folder that is not a bundle.
    """
    # A link stays a link: its target is replaced.
    place = Path(out).resolve()
    if place.exists() and not place.is_dir():
        raise ValueError(f"{out} is a file; expected a new folder or an old bundle")
    if place.exists() and any(place.iterdir()) and not (place / DESCRIPTION).is_file():
        raise ValueError(f"{out} exists and is not a bundle; expected a new folder or an old bundle")
    place.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        yield folder
        folder.chmod(0o755)
        for file in folder.iterdir():
            file.chmod(0o644)
        replace_bundle(place, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def replace_bundle(place: Path, new: Path) -> None:
    """Move the folder ``new`` to ``place`` beside it.

    Other files in the old folder are kept: all but the networks, their weights and the description. An old
    checkpoint is kept too, if the new bundle has none.
    """
    if not place.exists():
        new.replace(place)
        return
    _keep(place, new)
    old = Path(tempfile.mkdtemp(prefix=f".{place.name}-old-", dir=place.parent))
    try:
        place.replace(old)
        new.replace(place)
    except BaseException:
        if not place.exists():  # interrupted between the two
            old.replace(place)
        raise
    finally:
        if place.exists():
            shutil.rmtree(old, ignore_errors=True)


def _keep(old: Path, new: Path) -> None:
    """Link the files in ``old`` that no bundle made and that ``new`` lacks into ``new``."""
    own = _own_files(old)
    for path in old.iterdir():
        target = new / path.name
        if path.name in own or os.path.lexists(target):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, target, symlinks=True, copy_function=_link)
        else:
            _link(path, target)


def _own_files(folder: Path) -> set[str]:
    """Names of the files that the description lists, and its own; not the checkpoint, which is training's."""
    own = {DESCRIPTION}
    try:
        networks: dict[str, Any] = yaml.safe_load((folder / DESCRIPTION).read_text())["networks"]
        for entry in networks.values():
            own |= {file["file"] for file in files_of(entry)}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, KeyError, TypeError):
        pass  # a damaged description lists no files: all are kept
    return own - {CHECKPOINT}


def _link(source: Path | str, target: Path | str) -> None:
    """Create a hard link to a file; copy it if the file system has no hard links."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)
