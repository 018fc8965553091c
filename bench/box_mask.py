# SPDX-License-Identifier: Apache-2.0
"""Compare our image-to-box-mask time of official models with the reference, and our encoder with its bound.

The weights are random. This affects one time only: a mask of noise fills more of the image than a true one,
so that our path resizes more of it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from evitsam_ros.bundle import open_bundle
from evitsam_ros.profiler.interleaving import Contender, interleave
from evitsam_ros.profiler.macs import graph_work
from evitsam_ros.profiler.measurements import MORE, Figure, Suite, ratio_of
from evitsam_ros.profiler.network_contender import cases_of
from evitsam_ros.profiler.networks import PRODUCT

from .box_contender import ENCODER, MASK
from .known_bundle import cached_bundle, export_random

if TYPE_CHECKING:
    from .workload import Settings

CONTENDERS = ("ours", "reference")


def box_mask(settings: Settings) -> Suite:
    """Measure the suite ``l0``."""
    return _compare(settings, "efficientvit_sam_l0", "l0", "L0")


def mobile_sam(settings: Settings) -> Suite:
    """Measure the suite ``mobile_sam``."""
    return _compare(settings, "mobile_sam", "mobile_sam", "MobileSAM")


def _compare(settings: Settings, model: str, key: str, title: str) -> Suite:
    """Measure a model; ``key`` and ``title`` are its names in keys and titles of figures."""
    folder = cached_bundle(model, partial(export_random, model))
    bundle = open_bundle(folder)
    (_, inputs), *_ = cases_of(bundle)["encoder"]
    work = graph_work(bundle.networks["encoder"], inputs)
    with (
        Contender("bench.box_contender", "ours", str(folder)) as ours,
        Contender("bench.box_contender", "reference", str(folder)) as reference,
    ):
        times, rates = interleave([ours, reference], [MASK, ENCODER], settings.l0)
        facts = [ours.facts, reference.facts]
    lower_bound = [work.macs / rate for rate in rates] if work else []
    suite = Suite()
    for number, contender in enumerate(CONTENDERS):
        for variant, short in ((MASK, "box"), (ENCODER, "encoder")):
            samples = [1e3 * s for s in times[number, variant]]
            bound = [1e3 * s for s in lower_bound] if variant == ENCODER else []
            name = f"{key}/{short}/{contender}"
            suite.add(Figure(name, f"{title} {variant}, {contender}", "ms", samples, bound, PRODUCT))
    mask, encoder = [(times[0, variant], times[1, variant]) for variant in (MASK, ENCODER)]
    suite.ratios += [
        ratio_of(f"{key}/box: speed", f"{title} {MASK}: reference / ours", mask[1], mask[0], MORE),
        ratio_of(f"{key}/encoder: speed", f"{title} encoder: reference / ours", encoder[1], encoder[0], MORE),
    ]
    if lower_bound:
        of_product = f"{title} encoder: {PRODUCT} / ours"
        suite.ratios.append(ratio_of(f"{key}/encoder: of product", of_product, lower_bound, encoder[0], MORE))
    for contender, about in zip(CONTENDERS, facts, strict=True):
        note = f"{title}, {contender}: {about['runtimes']}; the mask fills {about['filled']:.0%}"
        suite.notes.append(note)
    return suite
