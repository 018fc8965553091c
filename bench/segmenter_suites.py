# SPDX-License-Identifier: Apache-2.0
"""Measure the suites ``networks`` and ``everything``, which ``evitsam bench`` has as well, and ``timers``."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from evitsam_ros.nodes.diagnostics import CameraDiagnostics
from evitsam_ros.profiler.everything import everything_suite
from evitsam_ros.profiler.measurements import LESS, Figure, Suite, ratio_of
from evitsam_ros.profiler.networks import measure_networks
from evitsam_ros.profiler.statistics import seconds
from evitsam_ros.segment import Prompt, Segmenter
from evitsam_ros.segment.timing import StageTimer

from .workload import BOX, MODEL, Settings, photograph

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evitsam_ros.backends import Runtime
    from evitsam_ros.bundle import Bundle

#: (W, H) of the astronaut as it is.
ORIGINAL_SIZE = (512, 512)
#: Number of frames per sample of the timing calls.
FRAMES_PER_SAMPLE = 1000
#: Clock readings of a frame in the node: start, converted, segmented, end, and the inference thread's.
CLOCK_READINGS = 5


def networks(settings: Settings) -> Suite:
    """Measure the suite ``networks``."""
    return measure_networks(MODEL, settings.networks)


def everything(settings: Settings) -> Suite:
    """Measure the suite ``everything``."""
    return everything_suite(
        Segmenter.open(MODEL),
        photograph(ORIGINAL_SIZE),
        settings.everything,
        grids=settings.grids,
        slow_every=settings.slow_every,
    )


class CountingTimer(StageTimer):
    """Note the stages that are timed."""

    def __init__(self, stages: list[str]) -> None:
        super().__init__()
        self.stages = stages

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage and note its name."""
        self.stages.append(name)
        with super().stage(name):
            yield


class CountingSegmenter(Segmenter):
    """A segmenter with timers that record their stages."""

    def __init__(self, bundle: Bundle, runtime: Runtime) -> None:
        super().__init__(bundle, runtime)
        self.stages: list[str] = []

    def new_timer(self) -> StageTimer:
        """Return a timer that notes its stages."""
        return CountingTimer(self.stages)


def timing_calls(segmenter: Segmenter, stages: tuple[str, ...], frames: int) -> float:
    """Return the seconds per frame of the timing calls alone: empty stages, and the node's bookkeeping."""
    diagnostics = CameraDiagnostics()

    def one_frame() -> None:
        timer = segmenter.new_timer()
        for stage in stages:
            with timer.stage(stage):
                pass
        for _ in range(CLOCK_READINGS):
            time.perf_counter()
        latencies = {**timer.seconds, "convert": 0.0, "publish": 0.0, "total": 0.0}
        diagnostics.frame_out(latencies, 0.01, 0.0)

    return seconds(lambda: [one_frame() for _ in range(frames)]) / frames


def timers(settings: Settings) -> Suite:
    """Measure the share of the segmenter's always-on timers in the shortest frame, one box."""
    counting = CountingSegmenter.open(MODEL)
    image, box = photograph(), [Prompt(box=BOX)]

    def frame() -> None:
        counting.decode(counting.embed(image), box).label_map()

    frame()
    stages = tuple(counting.stages)
    segmenter = Segmenter(counting.bundle, counting.runtime)
    frames, calls = [], []
    for _ in range(settings.networks):
        frames.append(1e3 * seconds(frame))
        calls.append(1e3 * timing_calls(segmenter, stages, FRAMES_PER_SAMPLE))
    details = {"stages": list(stages)}
    figure = Figure("timers/calls", "timing calls of a frame", "ms", calls, details=details)
    title = "timing calls / frame with one box"
    return Suite([figure], [ratio_of("timers/share", title, calls, frames, LESS)])
