# SPDX-License-Identifier: Apache-2.0
"""Compare the image-to-box-mask time of every official promptable model with the reference.

One model after the other: exported with random weights, measured, and freed. Ours runs in float32, and in
bfloat16 where the processor has it. The main ratio is that of bfloat16 if its masks pass the proof by which
``backend: auto`` chooses; else it is that of float32.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from evitsam_ros.models.specs import SPECS
from evitsam_ros.profiler.interleaving import Contender, interleave
from evitsam_ros.profiler.measurements import MORE, Figure, Suite, ratio_of

from .box_contender import MASK
from .known_bundle import cache_folder, cached_bundle, export_random

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evitsam_ros.models.specs import ModelSpec

    from .workload import Settings

T = TypeVar("T")
#: A model of more parameters is large: few rounds, and its bundle is not kept.
LARGE = 300_000_000
FLOAT32, BFLOAT16 = "openvino", "openvino_bf16"
#: Rounds before those that count. The first run of a network allocates its memory.
WARMUP = 1
#: Argument of a contender.
ALL_THREADS = "0"


def models(settings: Settings) -> list[ModelSpec]:
    """Return the models to measure, small to large within a family."""
    official = [spec for spec in SPECS.values() if spec.is_official]
    return [spec for spec in official if rounds_of(spec, settings)]


def rounds_of(spec: ModelSpec, settings: Settings) -> int:
    """Return the number of rounds of a model; 0: it is left out."""
    return settings.family_large if spec.params > LARGE else settings.family


def family(settings: Settings) -> Suite:
    """Measure the suite ``family``."""
    suite = Suite()
    for spec in models(settings):
        with exported(spec) as folder:
            add_model(suite, spec.name, folder, rounds_of(spec, settings))
    return suite


def add_model(suite: Suite, name: str, folder: Path, rounds: int) -> None:
    """Measure a bundle with weights, and add its figures and ratios.

    Args:
        suite: gets the figures.
        name: of the model, in keys and titles.
        folder: of the bundle.
        rounds: after the warm-up.
    """
    problem = _in_process(bfloat16_problem, folder)
    backends = [FLOAT32] if problem is None else [FLOAT32, BFLOAT16]
    with ExitStack() as stack:
        contenders = [
            stack.enter_context(Contender("bench.box_contender", kind, str(folder), *arguments))
            for kind, *arguments in (
                *(("ours", ALL_THREADS, backend) for backend in backends),
                ("reference",),
            )
        ]
        times, _ = interleave(contenders, [MASK], rounds, WARMUP)
        facts = [contender.facts for contender in contenders]
    titles = [*(f"ours, {backend}" for backend in backends), "reference"]
    for number, (title, about) in enumerate(zip(titles, facts, strict=True)):
        samples = [1e3 * s for s in times[number, MASK]]
        key = f"family/{name}/box/{title.removeprefix('ours, ')}"
        suite.figures.append(Figure(key, f"{name} {MASK}, {title}", "ms", samples, details=about))
    reference = times[len(backends), MASK]
    chosen = backends.index(BFLOAT16) if problem == "" else 0
    for number, suffix in {(chosen, ""), (0, ", float32")}:
        above = f"{name} {MASK}: reference / ours, {backends[number]}"
        key = f"family/{name}/box{suffix}: speed"
        suite.ratios.append(ratio_of(key, above, reference, times[number, MASK], MORE))
    if problem:
        suite.notes.append(f"{name}: bfloat16 does not count: {problem}")


def bfloat16_problem(folder: Path) -> str | None:
    """Return why masks in bfloat16 fail the proof; empty if they pass; None without such a processor."""
    from evitsam_ros.autotune.photographs import photographs
    from evitsam_ros.autotune.proof import compare
    from evitsam_ros.backends import BackendError
    from evitsam_ros.segment import Segmenter

    try:
        candidate = Segmenter.open(folder, BFLOAT16)
    except BackendError:
        return None
    networks = ("encoder", "decoder")
    return compare(
        Segmenter.open(folder, FLOAT32), candidate, photographs(count=1), "bf16", networks=networks
    ).problem()


@contextmanager
def exported(spec: ModelSpec) -> Iterator[Path]:
    """Yield the bundle of a model with random weights; that of a large one is deleted afterwards."""
    export = partial(_in_process, partial(export_random, spec.name))
    if spec.params <= LARGE:
        yield cached_bundle(spec.name, export)
        return
    cache_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_folder()) as parent:
        export(Path(parent) / spec.name)
        yield Path(parent) / spec.name


def _in_process(work: Callable[[Path], T], folder: Path) -> T:
    """Run ``work`` in a process of its own, whose memory is free afterwards."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, folder).result()
