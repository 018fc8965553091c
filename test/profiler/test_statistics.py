# SPDX-License-Identifier: Apache-2.0
"""Test percentiles and jitter against values computed by hand."""

import pytest

from evitsam_ros.profiler.statistics import best, jitter, summary


def test_percentiles_of_0_to_100():
    values = summary([float(n) for n in range(100, -1, -1)])
    assert values == pytest.approx(
        {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "max": 100, "mean": 50, "jitter": 1}
    )


def test_percentiles_lie_between_samples():
    assert summary([10.0, 20.0])["p90"] == pytest.approx(19.0)
    assert summary([7.0]) == pytest.approx(
        dict.fromkeys(("p50", "p90", "p95", "p99", "max", "mean"), 7.0) | {"jitter": 0.0}
    )


def test_jitter_is_the_mean_step():
    assert jitter([1.0, 4.0, 2.0]) == pytest.approx((3 + 2) / 2)


def test_jitter_excludes_differences_between_images():
    in_turns = [1.0, 100.0, 2.0, 101.0, 1.0, 100.0]
    assert jitter(in_turns, [0, 1, 0, 1, 0, 1]) == pytest.approx(1.0)
    assert jitter(in_turns) > 98


def test_a_peak_rate_is_the_90th_percentile():
    assert best([1.0] * 50 + [float(n) for n in range(50)] + [99.0]) == pytest.approx(40.0)
