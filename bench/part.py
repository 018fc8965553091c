# SPDX-License-Identifier: Apache-2.0
"""``python -m bench.part NAME OUT``: one part in a process of its own, its findings as JSON.

A process each: threads, memory and settings of one part do not reach into the next.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from evitsam_ros.profiler.measurements import Part

from .settings import FULL, QUICK

#: Module and function of each part, and the seconds that it takes on two quiet cores: all of it, and quick.
PARTS = {
    "networks": ("package", "networks", 50, 15),
    "everything": ("package", "everything", 560, 15),
    "l0": ("box_mask", "box_mask", 60, 20),
    "mobile_sam": ("box_mask", "mobile_sam", 75, 20),
    "ros": ("ros.cost", "ros_cost", 150, 25),
    "start": ("start", "start", 90, 15),
    "timers": ("timers", "timers", 10, 5),
    "fleet": ("fleet", "fleet", 420, 120),
}


def measure(name: str, quick: bool) -> Part:
    """Run a part here."""
    module, function, *_ = PARTS[name]
    return getattr(import_module(f".{module}", __package__), function)(QUICK if quick else FULL)


def expected_seconds(names: list[str], quick: bool) -> int:
    """How long these parts take."""
    return sum(PARTS[name][3 if quick else 2] for name in names)


def main(name: str, out: str, *flags: str) -> int:
    Path(out).write_text(json.dumps(asdict(measure(name, "--quick" in flags))))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
