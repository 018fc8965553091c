# SPDX-License-Identifier: Apache-2.0
"""Test stages made of spans: their order, lower bounds, and the spans of a device's clock."""

from dataclasses import replace

import pytest

from evitsam_ros.backends.device_clock import DeviceSpan
from evitsam_ros.profiler.collect import stages_of, stages_on_device
from evitsam_ros.profiler.inputs import open_images
from evitsam_ros.profiler.macs import Work
from evitsam_ros.profiler.peak_rates import PeakRates
from evitsam_ros.profiler.spans import DEVICE, HOST, Span
from evitsam_ros.profiler.stages import (
    DECODER,
    ENCODER,
    FILTER,
    PROPOSALS,
    REFINE,
    RESIZE,
    TOTAL,
    UNATTRIBUTED,
    RecordingSegmenter,
    run_frame,
)

from ..conftest import ROOT

MS = 1_000_000


@pytest.fixture
def spans() -> list[Span]:
    """Return a run of 20 ms: encoder 8, of which the device computes 6; decoder 10; 2 between; then a box."""
    return [
        Span(ENCODER, 1 * MS, 9 * MS),
        Span(f"{ENCODER}: run", 2 * MS, 8 * MS, clock=DEVICE),
        Span(DECODER, 9 * MS, 19 * MS),
        Span(TOTAL, 0, 20 * MS, inner=18 * MS),
        Span("decoder, 1 box", 20 * MS, 23 * MS),
    ]


@pytest.fixture
def peak_rates() -> PeakRates:
    return PeakRates(1, "a library", 1024, macs_per_s=[1e9] * 80 + [2e9] * 20, bytes_per_s=[1e9])


WORK = {ENCODER: Work(8e6, 10), DECODER: Work(0, 5e6)}


def test_stages_are_in_order_with_their_lower_bounds(spans, peak_rates):
    stages = stages_of(spans, WORK, peak_rates, on_device=set())
    assert [(s.key, s.p50, s.lower_bound_ms) for s in stages] == [
        (ENCODER, 8.0, pytest.approx(4.0)),  # 8e6 at 2e9, which the best tenth reaches
        (DECODER, 10.0, pytest.approx(5.0)),
        (UNATTRIBUTED, 2.0, None),
        (TOTAL, 20.0, pytest.approx(9.0)),
        ("decoder, 1 box", 3.0, None),
        (f"{ENCODER}: run (device)", 6.0, None),
    ]
    assert stages[0].lower_bound_ratio == pytest.approx(0.5)


def test_peak_rates_of_the_cpu_are_no_bound_of_a_gpu(spans, peak_rates):
    lower_bounds = {s.name: s.lower_bound_ms for s in stages_of(spans, WORK, peak_rates, on_device={ENCODER})}
    assert (
        lower_bounds[ENCODER] is None
        and lower_bounds[TOTAL] is None
        and lower_bounds[DECODER] == pytest.approx(5.0)
    )


class Clock:
    """A device with one more span at every call."""

    def __init__(self):
        self.asked = 0

    def take(self):
        self.asked += 1
        return [DeviceSpan("run", self.asked, self.asked + MS)]


def test_device_spans_follow_each_network_but_not_the_queued_preprocessing():
    opened = RecordingSegmenter.open(ROOT / "engines" / "lite_sam", "onnxruntime", threads=1)
    waits, clock = [], Clock()
    facts = {name: {"device": "GPU"} for name in opened.bundle.networks}
    runtime = replace(
        opened.runtime, device_clock=lambda: clock, synchronize=lambda: waits.append(1), info=lambda: facts
    )
    segmenter = RecordingSegmenter(opened.bundle, runtime)
    run_frame(segmenter, open_images(["skimage:astronaut"], (160, 120))[0], 2)
    names = [span.name for span in segmenter.recorder.spans if span.clock == DEVICE]
    timed = (ENCODER, PROPOSALS, DECODER, FILTER, REFINE)
    assert names == [f"{name}: run" for name in timed]
    assert len(waits) == len(timed) + 1  # and after the preprocessing
    names = {span.name for span in segmenter.recorder.spans if span.clock == HOST}
    assert stages_on_device(segmenter, names) == {ENCODER, PROPOSALS, DECODER, REFINE}
    opened.runtime = replace(runtime, preprocess=lambda image, size: None)
    assert RESIZE in stages_on_device(opened, names)
