# SPDX-License-Identifier: Apache-2.0
"""Test spans of a device by events, against a stand-in with known times; no GPU was available."""

import time

import numpy as np
import pytest

from evitsam_ros.backends.device_clock import DeviceClock
from evitsam_ros.backends.tensorrt.device_preprocess import DevicePreprocess

from .fake_gpu import Memory, network


class TimedMemory(Memory):
    """A device on which copies take 2 ms and all other queued work 5 ms; the host sees none of it."""

    def __init__(self):
        super().__init__()
        self.now, self.events = 0.0, 0

    def copy_in(self, pointer, host, stream):
        self.now += 2
        super().copy_in(pointer, host, stream)

    def copy_out(self, host, pointer, stream):
        self.now += 2
        super().copy_out(host, pointer, stream)

    def launch(self, kernel, blocks, threads, arguments, stream):
        self.now += 5
        super().launch(kernel, blocks, threads, arguments, stream)

    def event(self):
        self.events += 1
        return {}

    def mark(self, event, stream):
        event["at"] = self.now

    def elapsed_ms(self, start, end):
        return end["at"] - start["at"]


def test_spans_lie_on_the_hosts_clock():
    memory = TimedMemory()
    clock = DeviceClock(memory, 77)
    before = time.perf_counter_ns()
    with clock.span("first"):
        memory.now += 3
    memory.now += 10
    with clock.span("second"):
        memory.now += 4
    first, second = clock.take()
    assert (first.name, second.name) == ("first", "second")
    assert first.end - first.start == 3_000_000 and second.start - first.start == 13_000_000
    assert clock.origin_ns <= before and first.start == clock.origin_ns
    assert clock.take() == []


def test_events_are_used_again():
    memory = TimedMemory()
    clock = DeviceClock(memory, 77)
    for _ in range(5):
        with clock.span("work"):
            pass
        clock.take()
    assert memory.events == 1 + 2  # where time begins, and one pair


def test_a_network_has_spans_of_its_copies_and_its_run():
    memory = TimedMemory()
    decoder, _ = network(memory, ["x"], "masks")
    inputs = {"x": np.ones((2, 4), np.float32)}
    decoder(inputs)
    assert memory.events == 0  # nobody asked
    clock = decoder.pool.clock = DeviceClock(memory, decoder.pool.stream)
    original = decoder._execute

    def slow():
        memory.now += 7
        original()

    decoder._execute = slow
    decoder(inputs)
    taken = {span.name: span.end - span.start for span in clock.take()}
    assert taken == pytest.approx({"copy in": 2e6, "run": 7e6, "copy out": 2e6})


def test_preprocessing_has_spans_of_its_copy_and_its_kernel():
    memory = TimedMemory()
    decoder, _ = network(memory, ["x"], "masks")
    clock = decoder.pool.clock = DeviceClock(memory, decoder.pool.stream)
    prepare = DevicePreprocess(decoder.pool, b"cubin", 640, (0.5,) * 3, (0.2,) * 3)
    prepare([np.zeros((480, 640, 3), np.uint8)], [(480, 640)])
    taken = {span.name: span.end - span.start for span in clock.take()}
    assert taken == {"copy in": 2_000_000, "resize, normalise": 5_000_000}
