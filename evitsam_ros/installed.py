# SPDX-License-Identifier: Apache-2.0
"""Locate the files that come with the package: configuration, example images, bundles."""

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
