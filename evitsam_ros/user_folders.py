# SPDX-License-Identifier: Apache-2.0
"""Where the package keeps what a user fetched: ``$XDG_DATA_HOME/evitsam``."""

from __future__ import annotations

import os
from pathlib import Path


def expand_user(path: str | Path) -> Path:
    """Return a path with ``~`` and ``~NAME`` replaced; as it is where there is no such user or home."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def data_folder() -> Path:
    """Return ``$XDG_DATA_HOME/evitsam``, by default ``~/.local/share/evitsam``; it need not exist.

    A relative ``$XDG_DATA_HOME`` is ignored, as the XDG specification has it.
    """
    base = os.environ.get("XDG_DATA_HOME", "")
    # Unlike Path.home(), expanduser raises nothing where a service has no home: then nothing is found there.
    folder = base if Path(base).is_absolute() else os.path.expanduser("~/.local/share")  # noqa: PTH111
    return Path(folder) / "evitsam"


def models_folder() -> Path:
    """Return the folder of the fetched bundles, which is on the search path; it need not exist."""
    return data_folder() / "models"
