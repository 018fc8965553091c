# SPDX-License-Identifier: Apache-2.0
"""The order in which people number files."""

from __future__ import annotations

import re
from pathlib import Path


def natural_order(path: Path) -> tuple:
    """Sorting key of file names in which numbers count by their value: frame2 before frame10."""
    parts = re.split(r"([0-9]+)", path.name)
    return [int(part) if part.isdecimal() else part.lower() for part in parts], path.name
