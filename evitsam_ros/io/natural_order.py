# SPDX-License-Identifier: Apache-2.0
"""Sort file names in natural order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def natural_order(path: Path) -> tuple:
    """Return a sorting key that compares numbers in file names by value: frame2 before frame10."""
    parts = re.split(r"([0-9]+)", path.name)
    return [int(part) if part.isdecimal() else part.lower() for part in parts], path.name
