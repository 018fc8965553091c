# SPDX-License-Identifier: Apache-2.0
"""Run ``evitsam profile``: warm up, measure, and collect everything that belongs to the figures."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, cast

import numpy as np

from ..bundle import DEFAULT_MODEL
from ..dense import SemanticSegmenter
from ..segment.transform import preprocess
from .collect import model_facts, peak_rates_of, report_of, stages_of, stages_on_device
from .inputs import EncodedImage, open_images
from .lower_bounds import count_work
from .peak_rates import PeakRates, cpus
from .report import Report, Run, Throughput
from .sensors import Watch, resident_mib
from .stages import RecordingSegmenter, SmallObjects, boxes, run_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .macs import Work
    from .spans import Span

#: Images encoded for a throughput as a share of the runs, and the min number of calls.
IMAGES_SHARE, MIN_CALLS = 0.2, 3


@dataclass(frozen=True)
class Options:
    """The settings of a profile; see ``evitsam profile --help``."""

    command: str
    model: str = DEFAULT_MODEL
    semantic_model: str = ""
    backend: str = "auto"
    precision: str = "auto"
    threads: int = 0
    size: tuple[int, int] | None = None
    prompts: tuple[int, ...] = (1, 16, 64, 256)
    max_prompts: int = 64
    closer_looks: int = 0
    images: tuple[str, ...] = ("example",)
    runs: int = 100
    warmup: int = 10
    batches: tuple[int, ...] = (1, 2, 4, 8, 16)


def profile(options: Options, progress: Callable[[int, int], None]) -> tuple[Report, list[Span]]:
    """Measure; return the report, and the spans of all runs for a trace.

    Args:
        options: the settings.
        progress: called with the number of finished runs and of all runs.

    Raises:
        ValueError: an image, bundle or runtime is missing.
    """
    memory = {"before the model": resident_mib()["now"]}
    images = open_images(options.images, options.size)
    segmenter, semantic = _open(options), _open_semantic(options)
    memory["model loaded"] = resident_mib()["now"]
    count = options.closer_looks
    small = [SmallObjects.of(segmenter, image, count) for image in images] if count else []
    for number in range(options.warmup):
        _run(segmenter, semantic, images, small, number, options)
    memory["warmed up"] = resident_mib()["now"]
    with Watch(cpus()) as watch, PeakRates(options.threads or cpus()) as peak_rates:
        runs = _measure(segmenter, semantic, images, small, options, watch, peak_rates, progress)
    # Later work is recorded too, but belongs to no run.
    spans = list(segmenter.recorder.spans)
    memory["at most"] = resident_mib()["peak"]
    throughput = [_throughput(segmenter, images, batch, options.runs) for batch in options.batches]
    # Counting runs the graphs in another session, so it follows every measurement.
    work = count_work(segmenter, images, options.prompts, options.max_prompts, small, semantic)
    on_device = stages_on_device(segmenter, set(work), semantic)
    return report_of(
        options.command,
        watch,
        model=model_facts(segmenter, semantic),
        settings=_settings(options, images, work),
        stages=stages_of(spans, work, peak_rates, on_device),
        peak_rates=peak_rates_of(peak_rates),
        throughput=throughput,
        memory=memory,
        runs=runs,
    ), spans


def _open(options: Options) -> RecordingSegmenter:
    """Open the segmenter; all networks compute in the requested precision."""
    segmenter = RecordingSegmenter.open(
        options.model, options.backend, options.threads, precision=options.precision
    )
    return cast("RecordingSegmenter", segmenter)


def _open_semantic(options: Options) -> SemanticSegmenter | None:
    """Open what names the masks; None where nothing does."""
    if not options.semantic_model:
        return None
    return SemanticSegmenter.open_beside(
        options.semantic_model, options.backend, options.threads, options.precision
    )


def _run(
    segmenter: RecordingSegmenter,
    semantic: SemanticSegmenter | None,
    images: Sequence[EncodedImage],
    small: Sequence[SmallObjects],
    number: int,
    options: Options,
) -> None:
    image = images[number % len(images)]
    embedding, _ = run_frame(segmenter, image, options.max_prompts, semantic)
    for count in options.prompts:
        segmenter.decode_boxes(embedding, boxes(count, image.size))
    if small:
        small[number % len(images)].look_closer(segmenter)


def _measure(
    segmenter: RecordingSegmenter,
    semantic: SemanticSegmenter | None,
    images: Sequence[EncodedImage],
    small: Sequence[SmallObjects],
    options: Options,
    watch: Watch,
    peak_rates: PeakRates,
    progress: Callable[[int, int], None],
) -> list[Run]:
    """Measure the runs, each followed by the peak rates, so that both see the same state of the machine."""
    gc.collect()
    segmenter.recorder.spans.clear()
    began, runs = time.perf_counter(), []
    for number in range(options.runs):
        segmenter.recorder.run = number
        runs.append(Run((time.perf_counter() - began) * 1e3, number % len(images)))
        _run(segmenter, semantic, images, small, number, options)
        peak_rates.measure()
        watch.sample()
        progress(number + 1, options.runs)
    return runs


def _throughput(
    segmenter: RecordingSegmenter, images: Sequence[EncodedImage], batch: int, runs: int
) -> Throughput:
    """Measure the encoder on several images per call; input and embedding are on the host."""
    frames = [images[number % len(images)].decode() for number in range(batch)]
    bundle = segmenter.bundle
    blob = np.concatenate([preprocess(f.image, bundle.image_size, bundle.mean, bundle.std) for f in frames])
    calls = max(MIN_CALLS, round(runs * IMAGES_SHARE / batch))
    times = []
    try:
        for _ in range(calls + 1):
            start = time.perf_counter()
            segmenter.runtime.encode(blob)
            segmenter.runtime.synchronize()
            times.append(time.perf_counter() - start)
    except Exception as error:  # each runtime has its own exception for a shape
        return Throughput(batch, None, 0, f"rejected by the runtime: {str(error).strip().splitlines()[-1]}")
    return Throughput(batch, batch / median(times[1:]), calls)


def _settings(options: Options, images: Sequence[EncodedImage], work: dict[str, Work]) -> dict:
    return {
        "semantic_model": options.semantic_model,
        "runs": options.runs,
        "warmup": options.warmup,
        "threads": options.threads,
        "backend": options.backend,
        "precision": options.precision,
        "prompts": list(options.prompts),
        "everything": options.max_prompts,
        "closer_looks": options.closer_looks,
        "batches": list(options.batches),
        "pictures": [{"name": p.name, "sha256": p.sha256, "size": list(p.size)} for p in images],
        "uncounted": sorted({name for done in work.values() for name in done.uncounted}),
    }
