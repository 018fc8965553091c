# SPDX-License-Identifier: Apache-2.0
"""Starts of the real segmenter, and the timers' cost."""

import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from bench.start import camera, first_mask, torch_libraries
from bench.timers import Counting, timing_calls
from evitsam_ros.segment import Segmenter

pytestmark = pytest.mark.ros


def test_the_first_mask_of_a_segmenter_that_starts_beside_a_camera(domain, known_bundle):
    with camera():
        found = first_mask(str(known_bundle))
    assert 0 < found.found < found.seconds < 60
    assert 40 < found.resident_mb <= found.peak_mb < 1000
    assert found.torch == [], "torch has no place on the robot's path"


def test_torch_is_seen_where_it_is():
    code = "import torch, time; print(flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        assert any(name.startswith("libtorch") for name in torch_libraries(process.pid))
    finally:
        process.kill()
        process.communicate()


def test_timers_are_those_of_a_frame(known_bundle, photograph):
    segmenter = Counting.open(known_bundle, "onnxruntime")
    segmenter.everything(photograph)
    assert tuple(segmenter.stages) == ("preprocess", "encode", "propose", "decode", "filter")
    plain = Segmenter(segmenter.bundle, segmenter.runtime)
    few, many = (min(timing_calls(plain, stages, 50) for _ in range(5)) for stages in ((), ("a",) * 200))
    assert 0 < few < many
