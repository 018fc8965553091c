# SPDX-License-Identifier: Apache-2.0
"""Locate the files of the package (configuration, example images, bundles) and those that a user fetched."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

#: Root of the checkout; an installation has the same folders below ``share/evitsam_ros``.
CHECKOUT = Path(__file__).resolve().parents[1]


def installed_folders(name: str) -> list[Path]:
    """List the folders ``name`` of the ament prefixes, in their order, then of pip; they need not exist."""
    prefixes = [prefix for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    # Where pip installs: into this environment, or with --user.
    user = sysconfig.get_preferred_scheme("user")
    prefixes += [sysconfig.get_path("data"), sysconfig.get_path("data", user)]
    return [Path(prefix) / "share" / "evitsam_ros" / name for prefix in dict.fromkeys(prefixes)]


def expand_user(path: str | Path) -> Path:
    """Return a path with ``~`` and ``~NAME`` replaced; unchanged if there is no such user or home."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def data_folder() -> Path:
    """Return ``$XDG_DATA_HOME/evitsam``, by default ``~/.local/share/evitsam``; it need not exist.

    A relative ``$XDG_DATA_HOME`` is ignored, as the XDG specification has it.
    """
    base = os.environ.get("XDG_DATA_HOME", "")
    # Unlike Path.home(), expanduser does not raise for a service without a home: then no file is found.
    folder = base if Path(base).is_absolute() else os.path.expanduser("~/.local/share")  # noqa: PTH111
    return Path(folder) / "evitsam"


def models_folder() -> Path:
    """Return the folder of the fetched bundles, which is on the search path; it need not exist."""
    return data_folder() / "models"
