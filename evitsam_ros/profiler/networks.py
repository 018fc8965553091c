# SPDX-License-Identifier: Apache-2.0
"""Every network of a bundle on every installed runtime, in turns; torch's plain form is the reference."""

from __future__ import annotations

from contextlib import ExitStack

from evitsam_ros.backends import BACKENDS
from evitsam_ros.bundle import Bundle, open_bundle
from evitsam_ros.profiler.cpu import cases_of
from evitsam_ros.profiler.macs import graph_work

from .figures import MORE, Figure, Part, ratio_of
from .settings import Settings
from .turns import Rival, take_turns

MODEL, REFERENCE = "lite_sam", "torch"
#: Networks that are beside their floor.
FLOORED = ("encoder",)
PRODUCT = "float32 product of its multiply-adds"


def networks(settings: Settings, model: str = MODEL) -> Part:
    """The part ``networks``."""
    bundle, part = open_bundle(model), Part()
    ways = [case for cases in cases_of(bundle).values() for case, _ in cases]
    with ExitStack() as stack:
        rivals, names = [], []
        for name in (name for name, kind in BACKENDS.items() if kind().version()):
            try:
                rivals.append(stack.enter_context(Rival("bench.network_rival", name, str(bundle.folder))))
                names.append(name)
            except RuntimeError as error:
                part.notes.append(f"without {name}: {error}")
        times, macs_per_s = take_turns(rivals, ways, settings.networks)
    floors = {way: [macs / rate for rate in macs_per_s] for way, macs in _macs(bundle).items()}
    for way in ways:
        taken = {name: times[number, way] for number, name in enumerate(names)}
        _figures(part, way, taken, floors.get(way, []))
    return part


def _macs(bundle: Bundle) -> dict[str, float]:
    """Multiply-adds of the cases that have a floor."""
    found = {}
    for network in FLOORED:
        for case, inputs in cases_of(bundle)[network]:
            work = graph_work(bundle.networks[network], inputs)
            if work is not None:
                found[case] = work.macs
    return found


def _figures(part: Part, way: str, taken: dict[str, list[float]], floor: list[float]) -> None:
    """A figure for each runtime; how many times faster it is than the reference."""
    for name, seconds in taken.items():
        key, title = f"networks/{way}/{name}", f"{way}, {name}"
        milliseconds = [1e3 * s for s in seconds]
        part.add(Figure(key, title, "ms", milliseconds, [1e3 * s for s in floor], PRODUCT))
        if name != REFERENCE and REFERENCE in taken:
            title = f"{way}: {REFERENCE}, plain form / {name}"
            part.ratios.append(ratio_of(f"{key}: speed", title, taken[REFERENCE], seconds, MORE))
