# SPDX-License-Identifier: Apache-2.0
"""Whether a bundle is left to be measured on this machine, and the command that does it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..backends.choice import read_choice
from ..backends.registry import auto_backends

if TYPE_CHECKING:
    from pathlib import Path

    from ..bundle import BundleFiles


def measuring_command(folder: Path) -> list[str]:
    """Return the command that measures a bundle in a process of its own, of low priority."""
    return [sys.executable, "-m", "evitsam_ros.autotune", str(folder)]


def is_measurable(bundle: BundleFiles) -> bool:
    """Return whether ``auto`` runs a bundle on the CPU, and its choice is not made yet or not complete."""
    choice = read_choice(bundle)
    if choice is not None and choice.is_final(bundle):
        return False
    backend = next((kind for kind in auto_backends() if kind().auto_reason(bundle)), None)
    return backend is not None and backend.cpu_only
