# SPDX-License-Identifier: Apache-2.0
"""Write files as those of /proc and /sys."""

from __future__ import annotations

from pathlib import Path


def write(root: Path, files: dict[str, object]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
