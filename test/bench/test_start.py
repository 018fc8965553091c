# SPDX-License-Identifier: Apache-2.0
"""Test starts of the real segmenter, and the cost of the timers."""

import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from bench.segmenter_suites import CountingSegmenter, timing_calls
from bench.start import camera, first_mask, torch_libraries
from evitsam_ros.segment import Segmenter

pytestmark = pytest.mark.ros


def test_a_segmenter_that_starts_beside_a_camera_publishes_a_first_mask(domain, known_bundle):
    with camera():
        found = first_mask(str(known_bundle))
    assert 0 < found.found < found.seconds < 60
    assert 40 < found.resident_mb <= found.peak_mb < 1000
    assert found.torch == [], "the robot's path must not import torch"


def test_libraries_of_torch_are_found_in_a_process_that_has_them():
    code = "import torch, time; print(flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        assert any(name.startswith("libtorch") for name in torch_libraries(process.pid))
    finally:
        process.kill()
        process.communicate()


def test_timed_stages_are_those_of_a_frame(known_bundle, photograph):
    segmenter = CountingSegmenter.open(known_bundle, "onnxruntime")
    segmenter.everything(photograph)
    assert tuple(segmenter.stages) == ("preprocess", "encode", "propose", "decode", "filter")
    plain = Segmenter(segmenter.bundle, segmenter.runtime)
    few, many = (min(timing_calls(plain, stages, 50) for _ in range(5)) for stages in ((), ("a",) * 200))
    assert 0 < few < many
