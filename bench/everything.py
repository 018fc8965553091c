# SPDX-License-Identifier: Apache-2.0
"""Everything mode against the ways it is done elsewhere, as ``evitsam bench --everything`` measures it."""

from __future__ import annotations

from evitsam_ros.models.specs import model_spec
from evitsam_ros.profiler.everything import BFLOAT16, BOX, FLOOR, RATIOS, measure_everything
from evitsam_ros.segment import Segmenter

from .figures import MORE, Figure, Part, ratio_of
from .networks import MODEL
from .picture import photograph
from .settings import Settings

#: The astronaut as it is.
SIZE = (512, 512)
#: What is compared with its floor; the other ratios are of other ways to ours.
FLOORED = (BOX, BOX + BFLOAT16)


def everything(settings: Settings) -> Part:
    """The part ``everything``."""
    segmenter, part = Segmenter.open(MODEL), Part()
    # A decoded prompt is some 5 % of the encoder's work: the floor leaves it out.
    macs = model_spec(segmenter.bundle.name).macs
    image, every = photograph(SIZE), settings.slow_every
    times = measure_everything(segmenter, image, settings.everything, macs, settings.grids, every)
    for way, taken in times.items():
        milliseconds = [1e3 * s for s in taken]
        floor = [1e3 * s for s in times[FLOOR]] if way in FLOORED else []
        part.add(Figure(f"everything/{way}", way, "ms", milliseconds, floor, FLOOR))
    for above, below in RATIOS:
        if above in times and below in times and below != FLOOR:
            key, title = f"everything/{above}: {below}", f"{above} / {below}"
            same_turns = times[below][::every]
            part.ratios.append(ratio_of(key, title, times[above], same_turns, MORE))
    part.notes.append(f"everything: {segmenter.description}")
    return part
