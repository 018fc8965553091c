# SPDX-License-Identifier: Apache-2.0
"""``evitsam build --target cpu``: choose the backends of a bundle on this CPU, without a limit of time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..backends.choice import choice_path
from ..dense.bundle import open_by_kind
from .budget import Budget
from .measurement import measure
from .photographs import photographs

if TYPE_CHECKING:
    import argparse


def run_measure(options: argparse.Namespace) -> int:
    """Measure all candidates again, and print the choice."""
    bundle = open_by_kind(options.model)
    choice = measure(bundle, photographs(options.images, options.count), Budget(math.inf), again=True)
    for name, found in choice.networks.items():
        print(f"{name:14} {found}")
    for name, why in choice.unsettled.items():
        print(f"{name:14} float32: {why}")
    print(f"{choice.seconds:.1f} s of one thread -> {choice_path(bundle)}")
    return 0
