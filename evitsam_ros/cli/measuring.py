# SPDX-License-Identifier: Apache-2.0
"""Measure the backends of the CPU before long work, once for a bundle on a machine."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

#: Frames from which on a measurement of some seconds pays.
LONG_WORK = 200


def measure_before(options: argparse.Namespace, frames: int, model: str) -> None:
    """Measure and choose the backends before work on many frames, if not done yet; on failure float32 stays.

    All frames run on this choice: its masks do not depend on when a measurement ends.

    Args:
        options: with ``backend`` and ``precision``.
        frames: number of images.
        model: a bundle of any kind, its name or folder.
    """
    from ..autotune.needed import is_measurable, measuring_command
    from ..dense.bundle import open_by_kind

    if frames < LONG_WORK or (options.backend, options.precision) != ("auto", "auto"):
        return
    bundle = open_by_kind(model)
    if not is_measurable(bundle):
        return
    print("measuring the backends of this CPU, once for this model: some seconds", file=sys.stderr)
    subprocess.run(measuring_command(bundle.folder), stdout=subprocess.DEVNULL, check=False)


def frames_of_bag(bag: Path, topic: str) -> int:
    """Return the number of images of a bag's topic; 0 where they cannot be counted."""
    from ..io.bags import BagError
    from ..io.bags.reader import open_bag

    try:
        with open_bag(bag) as opened:
            return opened.image_channel(topic).count
    except (BagError, OSError):
        return 0
