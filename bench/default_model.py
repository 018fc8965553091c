# SPDX-License-Identifier: Apache-2.0
"""Compare the default model, with the backends chosen on this machine, with what it replaced.

That is ``lite_sam`` in float32 on OpenVINO, the default of version 0.1, and MobileSAM in eager PyTorch on one
thread. EfficientViT-SAM L0 is compared with its own eager form, also with the backends chosen.
"""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from evitsam_ros.autotune.budget import Budget
from evitsam_ros.autotune.measurement import measure
from evitsam_ros.autotune.photographs import photographs
from evitsam_ros.bundle import DEFAULT_MODEL, open_bundle
from evitsam_ros.profiler.interleaving import Contender, interleave
from evitsam_ros.profiler.measurements import LESS, MORE, Figure, Suite, ratio_of

from .box_contender import MASK
from .default_contender import EVERYTHING
from .known_bundle import cached_bundle, export_random

if TYPE_CHECKING:
    from evitsam_ros.backends.choice import Choice

    from .workload import Settings

#: Model, backend, precision and threads (0: all) of the segmenters of our own.
SEGMENTERS = {
    "default": (DEFAULT_MODEL, "auto", "auto", "0"),
    "before": ("lite_sam", "openvino", "fp32", "0"),
    "default, one thread": (DEFAULT_MODEL, "auto", "auto", "1"),
}
#: Models whose eager PyTorch form is timed, and on how many threads.
REFERENCES = {"mobile_sam": "1", "efficientvit_sam_l0": "0"}


@dataclass(frozen=True)
class Comparison:
    """A ratio of two contenders' times of one variant."""

    key: str
    title: str
    variant: str
    above: str
    below: str
    better: str


COMPARISONS = (
    Comparison(
        "box: lite_sam fp32", "the default model / lite_sam in float32", MASK, "default", "before", LESS
    ),
    Comparison(
        "everything: lite_sam fp32",
        "the default model / lite_sam in float32",
        EVERYTHING,
        "default",
        "before",
        LESS,
    ),
    Comparison(
        "box: mobile_sam eager",
        "MobileSAM, eager / the default model, one thread",
        MASK,
        "mobile_sam, eager",
        "default, one thread",
        MORE,
    ),
    Comparison(
        "box: l0 eager",
        "L0, eager / ours with the backends chosen",
        MASK,
        "efficientvit_sam_l0, eager",
        "l0",
        MORE,
    ),
)


def default_model(settings: Settings) -> Suite:
    """Measure the suite ``default``."""
    folders = {name: str(cached_bundle(name, partial(export_random, name))) for name in REFERENCES}
    l0 = folders["efficientvit_sam_l0"]
    suite = Suite(
        notes=[f"default: {open_bundle(model).name}: {chosen(model)}" for model in (DEFAULT_MODEL, l0)]
    )
    processes = {name: ("bench.default_contender", *arguments) for name, arguments in SEGMENTERS.items()}
    processes["l0"] = ("bench.default_contender", l0, "auto", "auto", "0")
    processes |= {
        f"{name}, eager": ("bench.box_contender", "reference", folders[name], threads)
        for name, threads in REFERENCES.items()
    }
    with ExitStack() as stack:
        contenders = [stack.enter_context(Contender(*command)) for command in processes.values()]
        taken, _ = interleave(contenders, [MASK, EVERYTHING], settings.default)
    names = list(processes)
    times = {(names[number], variant): seconds for (number, variant), seconds in taken.items()}
    for (name, variant), values in times.items():
        samples = [1e3 * s for s in values]
        suite.add(Figure(f"default/{variant}/{name}", f"{variant}: {name}", "ms", samples))
    suite.ratios += [
        ratio_of(
            f"default/{each.key}",
            f"{each.title}, {each.variant}",
            times[each.above, each.variant],
            times[each.below, each.variant],
            each.better,
        )
        for each in COMPARISONS
    ]
    return suite


def chosen(model: str) -> Choice:
    """Return the backends chosen for a bundle on this machine; measure what is not chosen yet."""
    return measure(open_bundle(model), photographs(), Budget(math.inf))
