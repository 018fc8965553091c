# SPDX-License-Identifier: Apache-2.0
"""Test ratios of rounds, and goals of values."""

import pytest

from bench.goals import GOALS, verdicts
from evitsam_ros.profiler.measurements import LESS, MORE, Figure, Ratio, Suite, ratio_of


def test_a_ratio_is_computed_by_round_and_not_of_the_medians():
    """The machine was slow in the third round, on both sides."""
    ratio = ratio_of("k", "t", [2.0, 2.2, 20.0], [1.0, 1.0, 10.0], LESS)
    assert ratio.samples == [2.0, 2.2, 2.0] and ratio.value == 2.0
    assert ratio_of("k", "t", [2.0, 4.0], [2.0], MORE).samples == [1.0, 2.0]
    with pytest.raises(ValueError):
        ratio_of("k", "t", [1.0, 2.0, 3.0], [1.0, 2.0], LESS)


def test_the_spread_is_half_the_quartiles_distance():
    assert Ratio("k", "t", [8.0, 9.0, 10.0, 11.0, 12.0], LESS).spread == pytest.approx(0.1)
    assert Ratio("k", "t", [0.0, 0.0], LESS).spread == 0


def test_a_figure_with_a_lower_bound_adds_its_ratio():
    part = Suite()
    part.add(Figure("a", "A", "ms", [3.0, 6.0], [1.0, 2.0], "the bound"))
    part.add(Figure("b", "B", "ms", [3.0]))
    assert [(r.key, r.value, r.better) for r in part.ratios] == [("a: floor", 3.0, LESS)]
    assert [figure.key for figure in part.figures] == ["a", "b"]


def test_goals_are_met_missed_or_not_measured():
    figures = [Figure("start/first mask", "", "s", [3.5]), Figure("start/memory", "", "MB", [500.0])]
    found = {v.goal.key: v for v in verdicts(figures, [Ratio("l0/encoder: of product", "", [0.9], MORE)])}
    assert found["start/first mask"].status == "MISSED" and found["start/memory"].status == "met"
    assert found["l0/encoder: of product"].status == "met"
    assert found["l0/encoder: of product"].value_text == "90 %"
    assert found["l0/encoder: of product"].goal.limit_text == "at least 85 %"
    assert (
        found["ros/720p/raw/two: cost"].status == "not measured"
        and found["ros/720p/raw/two: cost"].value_text == ""
    )
    assert len(found) == len(GOALS)
