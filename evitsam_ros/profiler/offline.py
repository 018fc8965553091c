# SPDX-License-Identifier: Apache-2.0
"""``evitsam profile``: warm up, run, and gather everything that belongs to the numbers."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import cast

import numpy as np

from ..bundle import DEFAULT_MODEL
from ..segment.transform import preprocess
from .ceilings import Ceilings, cpus
from .collect import ceilings_of, model_facts, report_of, stages_of, stages_on_device
from .floors import count_work
from .inputs import Picture, open_pictures
from .macs import Work
from .report import Report, Run, Throughput
from .sensors import Watch, resident_mib
from .spans import Span
from .stages import RecordingSegmenter, boxes, run_frame

#: Images encoded for a throughput, as a share of the runs; and at least so many calls.
IMAGES_SHARE, LEAST_CALLS = 0.2, 3


@dataclass(frozen=True)
class Options:
    """What to profile; see ``evitsam profile --help``."""

    command: str
    model: str = DEFAULT_MODEL
    backend: str = "auto"
    precision: str = "auto"
    threads: int = 0
    size: tuple[int, int] | None = None
    prompts: tuple[int, ...] = (1, 16, 64, 256)
    top_n: int = 64
    images: tuple[str, ...] = ("example",)
    runs: int = 100
    warmup: int = 10
    batches: tuple[int, ...] = (1, 2, 4, 8, 16)


def profile(options: Options, progress: Callable[[int, int], None]) -> tuple[Report, list[Span]]:
    """Measure; the report, and the spans of all runs for a trace.

    Args:
        options: what to profile.
        progress: told how many runs are done, of how many.

    Raises:
        ValueError: a picture, bundle or runtime is not there.
    """
    memory = {"before the model": resident_mib()["now"]}
    pictures = open_pictures(options.images, options.size)
    segmenter = _open(options)
    memory["model loaded"] = resident_mib()["now"]
    for number in range(options.warmup):
        _run(segmenter, pictures[number % len(pictures)], options)
    memory["warmed up"] = resident_mib()["now"]
    with Watch(cpus()) as watch, Ceilings(options.threads or cpus()) as ceilings:
        runs = _measure(segmenter, pictures, options, watch, ceilings, progress)
    # What is done from here on is recorded too, but belongs to no run.
    spans = list(segmenter.recorder.spans)
    memory["at most"] = resident_mib()["peak"]
    throughput = [_throughput(segmenter, pictures, batch, options.runs) for batch in options.batches]
    # Counting runs the graphs in another session: after everything that is measured.
    work = count_work(segmenter, pictures, options.prompts, options.top_n)
    return report_of(
        options.command,
        watch,
        model=model_facts(segmenter),
        settings=_settings(options, pictures, work),
        stages=stages_of(spans, work, ceilings, stages_on_device(segmenter, set(work))),
        ceilings=ceilings_of(ceilings),
        throughput=throughput,
        memory=memory,
        runs=runs,
    ), spans


def _open(options: Options) -> RecordingSegmenter:
    """The segmenter, all of whose networks compute in the precision that was asked for."""
    segmenter = RecordingSegmenter.open(
        options.model, options.backend, options.threads, precision=options.precision
    )
    return cast("RecordingSegmenter", segmenter)


def _run(segmenter: RecordingSegmenter, picture: Picture, options: Options) -> None:
    embedding, _ = run_frame(segmenter, picture, options.top_n)
    for count in options.prompts:
        segmenter.decode_boxes(embedding, boxes(count, picture.size))


def _measure(
    segmenter: RecordingSegmenter,
    pictures: Sequence[Picture],
    options: Options,
    watch: Watch,
    ceilings: Ceilings,
    progress: Callable[[int, int], None],
) -> list[Run]:
    """The runs, each followed by the ceilings: both see the same machine."""
    gc.collect()
    segmenter.recorder.spans.clear()
    began, runs = time.perf_counter(), []
    for number in range(options.runs):
        segmenter.recorder.run = number
        runs.append(Run((time.perf_counter() - began) * 1e3, number % len(pictures)))
        _run(segmenter, pictures[number % len(pictures)], options)
        ceilings.measure()
        watch.sample()
        progress(number + 1, options.runs)
    return runs


def _throughput(
    segmenter: RecordingSegmenter, pictures: Sequence[Picture], batch: int, runs: int
) -> Throughput:
    """The encoder on several pictures a call, input and embedding of which come from and go to the host."""
    frames = [pictures[number % len(pictures)].decode() for number in range(batch)]
    bundle = segmenter.bundle
    blob = np.concatenate([preprocess(f.image, bundle.image_size, bundle.mean, bundle.std) for f in frames])
    calls = max(LEAST_CALLS, round(runs * IMAGES_SHARE / batch))
    times = []
    try:
        for _ in range(calls + 1):
            start = time.perf_counter()
            segmenter.runtime.encode(blob)
            segmenter.runtime.synchronize()
            times.append(time.perf_counter() - start)
    except Exception as error:  # every runtime refuses a shape in a way of its own
        return Throughput(batch, None, 0, f"refused by the runtime: {str(error).strip().splitlines()[-1]}")
    return Throughput(batch, batch / median(times[1:]), calls)


def _settings(options: Options, pictures: Sequence[Picture], work: dict[str, Work]) -> dict:
    return {
        "runs": options.runs,
        "warmup": options.warmup,
        "threads": options.threads,
        "backend": options.backend,
        "precision": options.precision,
        "prompts": list(options.prompts),
        "everything": options.top_n,
        "batches": list(options.batches),
        "pictures": [{"name": p.name, "sha256": p.sha256, "size": list(p.size)} for p in pictures],
        "uncounted": sorted({name for done in work.values() for name in done.uncounted}),
    }
