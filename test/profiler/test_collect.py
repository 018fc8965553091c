# SPDX-License-Identifier: Apache-2.0
"""From spans to stages: the order, what has a floor, and what a device's clock tells."""

from dataclasses import replace

import pytest

from evitsam_ros.backends.device_clock import DeviceSpan
from evitsam_ros.profiler.ceilings import Ceilings
from evitsam_ros.profiler.collect import stages_of, stages_on_device
from evitsam_ros.profiler.inputs import open_pictures
from evitsam_ros.profiler.macs import Work
from evitsam_ros.profiler.spans import DEVICE, HOST, Span
from evitsam_ros.profiler.stages import (
    AGAIN,
    DECODER,
    ENCODER,
    FILTER,
    FRAME,
    PROPOSALS,
    RESIZE,
    REST,
    RecordingSegmenter,
    run_frame,
)

from ..conftest import ROOT

MS = 1_000_000


@pytest.fixture
def spans() -> list[Span]:
    """A run of 20 ms: the encoder 8, of which the device computes 6; decoder 10; 2 between; then a box."""
    return [
        Span(ENCODER, 1 * MS, 9 * MS),
        Span(f"{ENCODER}: run", 2 * MS, 8 * MS, clock=DEVICE),
        Span(DECODER, 9 * MS, 19 * MS),
        Span(FRAME, 0, 20 * MS, inner=18 * MS),
        Span("decoder, 1 box", 20 * MS, 23 * MS),
    ]


@pytest.fixture
def ceilings() -> Ceilings:
    return Ceilings(1, "a library", 1024, macs_per_s=[1e9] * 80 + [2e9] * 20, bytes_per_s=[1e9])


WORK = {ENCODER: Work(8e6, 10), DECODER: Work(0, 5e6)}


def test_stages_come_in_order_with_their_floors(spans, ceilings):
    stages = stages_of(spans, WORK, ceilings, on_device=set())
    assert [(s.key, s.p50, s.floor_ms) for s in stages] == [
        (ENCODER, 8.0, pytest.approx(4.0)),  # 8e6 at 2e9, which the best tenth reaches
        (DECODER, 10.0, pytest.approx(5.0)),
        (REST, 2.0, None),
        (FRAME, 20.0, pytest.approx(9.0)),
        ("decoder, 1 box", 3.0, None),
        (f"{ENCODER}: run (device)", 6.0, None),
    ]
    assert stages[0].of_floor == pytest.approx(0.5)


def test_the_cpus_ceilings_are_no_floor_of_a_gpu(spans, ceilings):
    floors = {s.name: s.floor_ms for s in stages_of(spans, WORK, ceilings, on_device={ENCODER})}
    assert floors[ENCODER] is None and floors[FRAME] is None and floors[DECODER] == pytest.approx(5.0)


class Clock:
    """A device that always has one more span to tell."""

    def __init__(self):
        self.asked = 0

    def take(self):
        self.asked += 1
        return [DeviceSpan("run", self.asked, self.asked + MS)]


def test_a_device_tells_after_each_network_but_not_after_the_queued_preprocessing():
    opened = RecordingSegmenter.open(ROOT / "engines" / "lite_sam", "onnxruntime", threads=1)
    waits, clock = [], Clock()
    facts = {name: {"device": "GPU"} for name in opened.bundle.networks}
    runtime = replace(
        opened.runtime, device_clock=lambda: clock, synchronize=lambda: waits.append(1), info=lambda: facts
    )
    segmenter = RecordingSegmenter(opened.bundle, runtime)
    run_frame(segmenter, open_pictures(["skimage:astronaut"], (160, 120))[0], 2)
    told = [span.name for span in segmenter.recorder.spans if span.clock == DEVICE]
    timed = (ENCODER, PROPOSALS, DECODER, FILTER, AGAIN)
    assert told == [f"{name}: run" for name in timed]
    assert len(waits) == len(timed) + 1  # and after the preprocessing
    names = {span.name for span in segmenter.recorder.spans if span.clock == HOST}
    assert stages_on_device(segmenter, names) == {ENCODER, PROPOSALS, DECODER, AGAIN}
    opened.runtime = replace(runtime, preprocess=lambda image, size: None)
    assert RESIZE in stages_on_device(opened, names)
