# SPDX-License-Identifier: Apache-2.0
"""Where the files are that come with the package: configuration, example images, bundles."""

from __future__ import annotations

import os
from pathlib import Path

#: What a checkout has at its top, and an installation below ``share/evitsam_ros``.
CHECKOUT = Path(__file__).resolve().parents[1]


def installed_folders(name: str) -> list[Path]:
    """List the folders ``name`` of the ament prefixes, in their order; they need not exist."""
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    return [Path(prefix) / "share" / "evitsam_ros" / name for prefix in prefixes if prefix]
