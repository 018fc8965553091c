# SPDX-License-Identifier: Apache-2.0
"""Test nested spans by a clock that the test sets."""

import pytest

from evitsam_ros.profiler.spans import DEVICE, HOST, Recorder, samples_of


class Clock:
    def __init__(self):
        self.now = 0

    def __call__(self):
        return self.now


def test_nested_spans_are_subtracted_from_outer_ones():
    clock = Clock()
    recorder = Recorder(clock=clock)
    for run in range(2):
        recorder.run = run
        with recorder.stage("frame"):
            clock.now += 1_000_000
            with recorder.stage("encoder"):
                clock.now += 5_000_000 * (run + 1)
            for _ in range(2):
                with recorder.stage("crop"):
                    clock.now += 250_000
            clock.now += 2_000_000
    own, complete = samples_of(recorder.spans, 2), samples_of(recorder.spans, 2, own=False)
    assert own == {("frame", HOST): [3.0, 3.0], ("encoder", HOST): [5.0, 10.0], ("crop", HOST): [0.5, 0.5]}
    assert complete["frame", HOST] == [8.5, 13.5]


def test_a_run_without_a_stage_has_none_of_it():
    recorder = Recorder(run=1)
    recorder.on_device("encoder: run", 10_000_000, 14_000_000)
    assert samples_of(recorder.spans, 3) == {("encoder: run", DEVICE): [0.0, 4.0, 0.0]}


def test_a_stage_that_fails_is_closed():
    recorder = Recorder()
    with pytest.raises(ValueError), recorder.stage("outer"), recorder.stage("inner"):
        assert recorder.stage_now == "inner"
        raise ValueError
    assert recorder.stage_now == "" and [span.name for span in recorder.spans] == ["inner", "outer"]
