# SPDX-License-Identifier: Apache-2.0
"""The part ``timers``: what the segmenter's own stage timers, which are always on, cost of a frame."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from evitsam_ros.backends import Runtime
from evitsam_ros.bundle import Bundle
from evitsam_ros.nodes.diagnostics import CameraDiagnostics
from evitsam_ros.profiler.clock import seconds
from evitsam_ros.profiler.measurements import LESS, Figure, Part, ratio_of
from evitsam_ros.segment import Prompt, Segmenter
from evitsam_ros.segment.timing import StageTimer

from .picture import BOX, photograph
from .settings import MODEL, Settings

#: Frames' worth of timing calls that are timed together.
MANY = 1000
#: Clock readings of a frame in the node: start, converted, segmented, end, and the worker's.
READINGS = 5


class CountingTimer(StageTimer):
    """Note the stages that are timed."""

    def __init__(self, stages: list[str]) -> None:
        super().__init__()
        self.stages = stages

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.stages.append(name)
        with super().stage(name):
            yield


class Counting(Segmenter):
    """A segmenter whose timers note their stages."""

    def __init__(self, bundle: Bundle, runtime: Runtime) -> None:
        super().__init__(bundle, runtime)
        self.stages: list[str] = []

    def new_timer(self) -> StageTimer:
        return CountingTimer(self.stages)


def timing_calls(segmenter: Segmenter, stages: tuple[str, ...], frames: int) -> float:
    """Seconds a frame of the timing calls alone: stages around nothing, and the node's book-keeping."""
    health = CameraDiagnostics()

    def one() -> None:
        timer = segmenter.new_timer()
        for stage in stages:
            with timer.stage(stage):
                pass
        for _ in range(READINGS):
            time.perf_counter()
        told = {**timer.seconds, "convert": 0.0, "publish": 0.0, "total": 0.0}
        health.frame_out(told, 0.01, 0.0)

    return seconds(lambda: [one() for _ in range(frames)]) / frames


def timers(settings: Settings) -> Part:
    """The part ``timers``: a frame with one box, the shortest there is, and the calls, in turns."""
    counting = Counting.open(MODEL)
    image, box = photograph(), [Prompt(box=BOX)]

    def frame() -> None:
        counting.decode(counting.embed(image), box).label_map()

    frame()
    stages = tuple(counting.stages)
    segmenter = Segmenter(counting.bundle, counting.runtime)
    frames, calls = [], []
    for _ in range(settings.networks):
        frames.append(1e3 * seconds(frame))
        calls.append(1e3 * timing_calls(segmenter, stages, MANY))
    details = {"stages": list(stages)}
    figure = Figure("timers/calls", "timing calls of a frame", "ms", calls, details=details)
    title = "timing calls / frame with one box"
    return Part([figure], [ratio_of("timers/share", title, calls, frames, LESS)])
