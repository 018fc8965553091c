# SPDX-License-Identifier: Apache-2.0
"""A model of others, image to the mask of a box: ours against the reference's way, and its encoder's floor.

The weights are random, which changes no time but one: a mask of noise fills more of the picture than a true
one, so ours has more to bring to full size.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from evitsam_ros.bundle import open_bundle
from evitsam_ros.profiler.interleaving import Contender, interleave
from evitsam_ros.profiler.macs import graph_work
from evitsam_ros.profiler.measurements import MORE, Figure, Part, ratio_of
from evitsam_ros.profiler.network_inputs import cases_of
from evitsam_ros.profiler.networks import PRODUCT

from .box_contender import ENCODER, MASK
from .cache import cached_bundle
from .settings import Settings


def _export(model: str, folder: Path) -> None:
    from evitsam_ros.export import export

    export(model, None, folder, with_weights=True)


def box_mask(settings: Settings) -> Part:
    """The part ``l0``."""
    return _compare(settings, "efficientvit_sam_l0", "l0", "L0")


def mobile_sam(settings: Settings) -> Part:
    """The part ``mobile_sam``."""
    return _compare(settings, "mobile_sam", "mobile_sam", "MobileSAM")


def _compare(settings: Settings, model: str, key: str, title: str) -> Part:
    """Measure a model; ``key`` and ``title`` are its names in keys and titles of figures."""
    folder = cached_bundle(model, partial(_export, model))
    bundle = open_bundle(folder)
    (_, inputs), *_ = cases_of(bundle)["encoder"]
    work = graph_work(bundle.networks["encoder"], inputs)
    with (
        Contender("bench.box_contender", "ours", str(folder)) as ours,
        Contender("bench.box_contender", "reference", str(folder)) as theirs,
    ):
        times, rates = interleave([ours, theirs], [MASK, ENCODER], settings.l0)
        facts = [ours.facts, theirs.facts]
    floor = [work.macs / rate for rate in rates] if work else []
    part = Part()
    for number, whose in enumerate(("ours", "reference")):
        for way, short in ((MASK, "box"), (ENCODER, "encoder")):
            seconds = [1e3 * s for s in times[number, way]]
            below = [1e3 * s for s in floor] if way == ENCODER else []
            name = f"{key}/{short}/{whose}"
            part.add(Figure(name, f"{title} {way}, {whose}", "ms", seconds, below, PRODUCT))
    mask, encoder = [(times[0, way], times[1, way]) for way in (MASK, ENCODER)]
    part.ratios += [
        ratio_of(f"{key}/box: speed", f"{title} {MASK}: reference / ours", mask[1], mask[0], MORE),
        ratio_of(f"{key}/encoder: speed", f"{title} encoder: reference / ours", encoder[1], encoder[0], MORE),
    ]
    if floor:
        of_product = f"{title} encoder: {PRODUCT} / ours"
        part.ratios.append(ratio_of(f"{key}/encoder: of product", of_product, floor, encoder[0], MORE))
    for whose, told in zip(("ours", "reference"), facts, strict=True):
        part.notes.append(f"{title}, {whose}: {told['runtimes']}; the mask fills {told['filled']:.0%}")
    return part
