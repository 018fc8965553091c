# SPDX-License-Identifier: Apache-2.0
"""Log a run: running means in ``log.csv``, a row per so many steps, and on the progress bar."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: Weight of the newest step in the running means.
NEWEST = 0.02


class RunLog:
    """Append rows to the log; a resumed run continues the same file."""

    def __init__(self, out: Path, *, enabled: bool) -> None:
        self.path, self.enabled = out / "log.csv", enabled
        self.means: dict[str, float] = {}
        self.waited = self.spent = 0.0

    def add(self, numbers: dict[str, float], waited: float, spent: float) -> None:
        """Add one step: its numbers, and its seconds, ``waited`` of which were spent waiting for data."""
        for name, value in numbers.items():
            old = self.means.get(name, value)
            self.means[name] = old + NEWEST * (value - old)
        self.waited, self.spent = self.waited + waited, self.spent + spent

    def write(self, step: int, size: int, rate: float) -> dict[str, str]:
        """Append a row; return it formatted. ``busy`` is the share of time not spent waiting for data."""
        busy = 1 - self.waited / max(self.spent, 1e-9)
        row = {"step": step, "size": size, "lr": rate, "busy": busy, **self.means}
        self.waited = self.spent = 0.0
        if self.enabled:
            self._append({name: f"{value:.6g}" for name, value in row.items()})
        return {"busy": f"{busy:.0%}", **{name: f"{value:.3f}" for name, value in self.means.items()}}

    def _append(self, row: dict[str, str]) -> None:
        """Append a row; numbers that first appear later (a prompt kind) get their own column."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        rows = []
        if self.path.exists():
            with self.path.open(newline="") as file:
                rows = list(csv.DictReader(file))
        columns = list(dict.fromkeys([name for old in rows[-1:] for name in old] + list(row)))
        fresh = not rows or list(rows[0]) != columns
        with self.path.open("w" if fresh else "a", newline="") as file:
            writer = csv.DictWriter(file, columns)
            if fresh:
                writer.writeheader()
                writer.writerows(rows)
            writer.writerow(row)
