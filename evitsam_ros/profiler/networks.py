# SPDX-License-Identifier: Apache-2.0
"""Measure every network of a bundle on every installed runtime alternately, with torch as the reference."""

from __future__ import annotations

from contextlib import ExitStack

from ..backends import BACKENDS
from ..bundle import Bundle, open_bundle
from .interleaving import Contender, interleave
from .macs import graph_work
from .measurements import MORE, Figure, Suite, ratio_of
from .network_contender import cases_of

REFERENCE = "torch"
#: Networks with a lower bound.
BOUNDED = ("encoder",)
PRODUCT = "float32 product of its multiply-adds"


def measure_networks(model: str, rounds: int, threads: int = 0) -> Suite:
    """Measure the networks.

    Args:
        model: name or folder of a bundle.
        rounds: timed calls of each network on each runtime.
        threads: CPU threads of each network; 0: as many as cores.
    """
    bundle, suite = open_bundle(model), Suite()
    variants = [case for cases in cases_of(bundle).values() for case, _ in cases]
    with ExitStack() as stack:
        contenders, names = [], []
        for name in (name for name, kind in BACKENDS.items() if kind().version()):
            arguments = (name, str(bundle.folder), str(threads))
            try:
                contender = Contender("evitsam_ros.profiler.network_contender", *arguments)
            except RuntimeError as error:
                suite.notes.append(f"without {name}: {error}")
                continue
            contenders.append(stack.enter_context(contender))
            names.append(name)
        times, macs_per_s = interleave(contenders, variants, rounds)
    lower_bounds = {variant: [macs / rate for rate in macs_per_s] for variant, macs in _macs(bundle).items()}
    for variant in variants:
        taken = {name: times[number, variant] for number, name in enumerate(names)}
        _add_figures(suite, variant, taken, lower_bounds.get(variant, []))
    return suite


def _macs(bundle: Bundle) -> dict[str, float]:
    """Return the multiply-adds of the cases that have a lower bound; none if onnx is missing."""
    found = {}
    for network in BOUNDED:
        for case, inputs in cases_of(bundle)[network]:
            work = graph_work(bundle.networks[network], inputs)
            if work is not None:
                found[case] = work.macs
    return found


def _add_figures(suite: Suite, variant: str, taken: dict[str, list[float]], lower_bound: list[float]) -> None:
    """Add a figure for each runtime, and its speed as a multiple of the reference's."""
    for name, seconds in taken.items():
        key, title = f"networks/{variant}/{name}", f"{variant}, {name}"
        milliseconds = [1e3 * s for s in seconds]
        suite.add(Figure(key, title, "ms", milliseconds, [1e3 * s for s in lower_bound], PRODUCT))
        if name != REFERENCE and REFERENCE in taken:
            title = f"{variant}: {REFERENCE}, plain form / {name}"
            suite.ratios.append(ratio_of(f"{key}: speed", title, taken[REFERENCE], seconds, MORE))
