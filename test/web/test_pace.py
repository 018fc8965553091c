# SPDX-License-Identifier: Apache-2.0
"""A viewer's frames shrink while they arrive slowly, and grow when they arrive quickly."""

import cv2
import numpy as np
import pytest

from evitsam_ros.web.frames import encode_jpeg
from evitsam_ros.web.pace import FIRST, LEVELS, PATIENCE, Level, Pace


def after(took: float, frames: int, pace: Pace) -> int:
    for number in range(frames):
        pace.sent(number * 10.0)
        pace.shown(number * 10.0 + took)
    return pace.level


def test_levels_are_in_order():
    assert list(LEVELS) == sorted(LEVELS, key=lambda level: (level.side, level.quality))
    assert 0 < FIRST < len(LEVELS) - 1


def test_the_level_follows_the_time_that_frames_take():
    pace = Pace()
    assert after(0.05, PATIENCE - 1, pace) == FIRST
    assert after(0.05, 1, pace) == FIRST + 1
    assert after(0.05, 100 * PATIENCE, pace) == len(LEVELS) - 1
    assert after(0.15, 100, pace) == len(LEVELS) - 1  # neither slow nor fast
    assert after(0.5, 1, pace) == len(LEVELS) - 2
    assert after(0.5, 100, pace) == 0
    assert after(0.05, PATIENCE - 1, pace) == 0 and after(0.5, 1, pace) == 0
    assert after(0.05, PATIENCE - 1, pace) == 0  # a slow frame ends a row of fast ones


@pytest.mark.parametrize(
    ("size", "expected"), [((400, 200), (160, 80)), ((80, 160), (80, 160)), ((1, 999), (1, 160))]
)
def test_a_frame_is_no_larger_than_its_level(photograph, size, expected):
    image = cv2.resize(photograph, size[::-1])
    decoded = cv2.imdecode(np.frombuffer(encode_jpeg(image, Level(160, 90)), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert decoded.shape[:2] == expected
    small = cv2.resize(image, expected[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(decoded.astype(int) - small).mean() < 12


def test_quality_decides_the_length(photograph):
    lengths = [len(encode_jpeg(photograph, Level(512, quality))) for quality in (40, 70, 85)]
    assert lengths == sorted(lengths) and lengths[0] < 0.6 * lengths[-1]
