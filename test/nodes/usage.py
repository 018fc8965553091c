# SPDX-License-Identifier: Apache-2.0
"""What processes hold, by /proc, and a table of figures."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Usage:
    """Resident memory in MB; threads; open file handles."""

    memory: float
    threads: int
    files: int

    @classmethod
    def of(cls, pid: int) -> Usage:
        process = Path(f"/proc/{pid}")
        pages = int((process / "statm").read_text().split()[1])
        tasks, files = os.listdir(process / "task"), os.listdir(process / "fd")
        return cls(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, len(tasks), len(files))

    def __str__(self) -> str:
        return f"{self.memory:.1f} MB, {self.threads} threads, {self.files} files"

    def holds_more_than(self, warm: Iterable[Usage], pool: int = 0) -> bool:
        """Whether threads or files are more than in any of ``warm``; their number varies at all times.

        ``pool``: threads of a native library that may begin at its first use, at any time.
        """
        warm = list(warm)
        return self.threads > max(u.threads for u in warm) + pool or self.files > max(u.files for u in warm)


def entities(node: Any, name: str) -> dict[str, list[str]]:
    """What a node has in the graph: publishers, subscriptions and services, by name."""
    place = (name.lstrip("/"), "/")
    return {
        "publishers": sorted(topic for topic, _ in node.get_publisher_names_and_types_by_node(*place)),
        "subscriptions": sorted(topic for topic, _ in node.get_subscriber_names_and_types_by_node(*place)),
        "services": sorted(service for service, _ in node.get_service_names_and_types_by_node(*place)),
    }


def table(title: str, **figures: Any) -> None:
    """Print figures, one a line."""
    print(f"\n{title}")
    for name, value in figures.items():
        print(f"  {name.replace('_', ' '):<38} {value}")


def peak_mb() -> float:
    """Return the most memory that this process has held since :func:`forget_peak`."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def forget_peak() -> None:
    """Start the measurement of :func:`peak_mb`."""
    Path("/proc/self/clear_refs").write_text("5")
