# SPDX-License-Identifier: Apache-2.0
"""The parts ``networks`` and ``everything``, which ``evitsam bench`` measures as well."""

from __future__ import annotations

from evitsam_ros.profiler.everything import everything_part
from evitsam_ros.profiler.measurements import Part
from evitsam_ros.profiler.networks import measure_networks
from evitsam_ros.segment import Segmenter

from .picture import photograph
from .settings import MODEL, Settings

#: The astronaut as it is.
SIZE = (512, 512)


def networks(settings: Settings) -> Part:
    """The part ``networks``."""
    return measure_networks(MODEL, settings.networks)


def everything(settings: Settings) -> Part:
    """The part ``everything``."""
    segmenter = Segmenter.open(MODEL)
    turns, grids, every = settings.everything, settings.grids, settings.slow_every
    return everything_part(segmenter, photograph(SIZE), turns, grids, every)
