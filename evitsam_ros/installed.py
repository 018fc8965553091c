# SPDX-License-Identifier: Apache-2.0
"""Locate the files that come with the package: configuration, example images, bundles."""

from __future__ import annotations

import os
from pathlib import Path

#: Root of the checkout; an installation has the same folders below ``share/evitsam_ros``.
CHECKOUT = Path(__file__).resolve().parents[1]


def installed_folders(name: str) -> list[Path]:
    """List the folders called ``name`` of the ament prefixes, in order; they need not exist."""
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    return [Path(prefix) / "share" / "evitsam_ros" / name for prefix in prefixes if prefix]
