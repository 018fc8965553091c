# SPDX-License-Identifier: Apache-2.0
"""Test the bootstrap on samples with known results."""

import numpy as np
import pytest

from evitsam_ros.profiler.bootstrap import block_length, ratio_of_medians


def noise(seed: int, count: int = 100, spread: float = 0.02) -> np.ndarray:
    return np.random.default_rng(seed).normal(1.0, spread, count)


def test_clearly_faster_and_slower():
    fast, slow = 80 * noise(1), 100 * noise(2)
    ratio = ratio_of_medians(slow, fast, paired=False)
    assert ratio.verdict == "faster" and ratio.low < 0.8 < ratio.high < 0.83
    assert ratio_of_medians(fast, slow, paired=False).verdict == "slower"


def test_identical_samples_have_no_verdict():
    values = 100 * noise(3)
    ratio = ratio_of_medians(values, values, paired=True)
    assert (ratio.value, ratio.low, ratio.high, ratio.verdict) == (1.0, 1.0, 1.0, "cannot tell")
    assert ratio_of_medians(values, values, paired=False).verdict == "cannot tell"


def test_a_small_difference_in_noise_is_found_by_pairs_only():
    images = np.tile([50.0, 80, 120, 200, 310], 20) * noise(4, spread=0.3)
    faster = images * 0.97 * noise(5, spread=0.005)
    assert ratio_of_medians(images, faster, paired=False).verdict == "cannot tell"
    assert ratio_of_medians(images, faster, paired=True).verdict == "faster"


def test_the_same_samples_give_the_same_interval():
    a, b = noise(6), noise(7)
    assert ratio_of_medians(a, b, paired=False) == ratio_of_medians(a, b, paired=False)


def test_of_equal_programs_about_one_in_twenty_is_called_different():
    wrong = sum(
        ratio_of_medians(noise(2 * n, 60), noise(2 * n + 1, 60), paired=False).verdict != "cannot tell"
        for n in range(100)
    )
    assert wrong <= 12  # 95 % of 100 are within; 12 wrong ones have a chance of 0.4 %


def test_correlated_neighbours_widen_the_interval():
    alone = noise(8, 120)
    slow_waves = np.repeat(noise(9, 12), 10)
    width = {}
    for name, values in (("alone", alone), ("waves", slow_waves)):
        ratio = ratio_of_medians(values, values[::-1], paired=False)
        width[name] = (ratio.high - ratio.low) / values.std()
    assert width["waves"] > 1.3 * width["alone"]
    assert [block_length(count) for count in (1, 27, 100)] == [1, 3, 5]


@pytest.mark.parametrize(
    ("a", "b", "paired", "text"),
    [
        ([1.0, 2.0], [1.0], True, "2 and 1"),
        ([], [1.0], False, "0 and 1"),
        ([0.0], [1.0], False, "not positive"),
    ],
)
def test_samples_that_cannot_be_compared_are_rejected(a, b, paired, text):
    with pytest.raises(ValueError, match=text):
        ratio_of_medians(a, b, paired=paired)
