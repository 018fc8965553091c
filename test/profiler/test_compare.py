# SPDX-License-Identifier: Apache-2.0
"""Test comparisons of made-up reports."""

from dataclasses import replace

import numpy as np
import pytest

from evitsam_ros.profiler.compare import compare, render_comparison
from evitsam_ros.profiler.measurements import Figure, Suite
from evitsam_ros.profiler.report import Report


def around(middle: float, seed: int, runs: int = 60) -> list[float]:
    return list(middle * np.random.default_rng(seed).normal(1, 0.02, runs))


@pytest.fixture
def reports(made_up):
    a = {"encoder": around(100, 1), "filter": around(5, 2), "fill": around(1, 3), "old": around(1, 4)}
    b = {"encoder": around(80, 5), "filter": around(6, 6), "fill": around(1, 7), "new": around(1, 8)}
    return made_up(a), made_up(b, machine={"CPU": "another", "GPU": None})


def test_each_stage_gets_its_verdict(reports):
    result = compare(*reports)
    verdicts = {row.stage: row.verdict for row in result.rows}
    assert verdicts == {"encoder": "faster", "filter": "slower", "fill": "cannot tell"}
    assert (result.only_a, result.only_b) == (["old"], ["new"])
    assert ("machine, CPU", "<made & up>", "another") in result.differences


def test_runs_are_paired_by_several_images_in_the_same_order(made_up):
    samples = {"encoder": around(100, 1)}
    assert compare(made_up(samples, images=3), made_up(samples, images=3)).paired
    assert not compare(made_up(samples), made_up(samples)).paired
    assert not compare(made_up(samples, images=3), made_up(samples, images=2)).paired


def test_few_runs_have_no_verdict(made_up):
    result = compare(made_up({"encoder": around(100, 1, 9)}), made_up({"encoder": around(10, 2, 9)}))
    assert not result.enough and result.rows[0].verdict == "cannot tell"
    assert "Fewer than 20 runs: too few to compare." in render_comparison(result, ("a", "b"))


def test_a_slower_machine_is_shown_as_such(made_up):
    samples = {"encoder": around(100, 1)}
    a, b = made_up(samples), made_up(samples)
    b.peak_rates[0].samples[:] = [25.0] * 60
    (row,) = compare(a, b).machine
    assert row.verdict == "slower" and row.ratio.value == pytest.approx(2)


def test_peak_rates_measured_differently_are_listed_as_a_difference(made_up):
    a, b = made_up({"encoder": around(100, 1)}), made_up({"encoder": around(100, 1)})
    b.peak_rates[0] = replace(b.peak_rates[0], how="float32, larger")
    assert compare(a, b).differences == [("peak rate, matrix product", "float32", "float32, larger")]


def test_the_text_has_ratios_intervals_and_pairing(reports):
    text = render_comparison(compare(*reports), ("a.json", "b.json"))
    line = next(line for line in text.splitlines() if line.startswith("encoder"))
    assert line.endswith("faster") and " to " in line and "0.8" in line
    assert "not paired" in text and "Only in A: old" in text and "Differs: machine, CPU" in text
    assert "Warning, A: 60 runs are too few" in text


def test_benchmarks_are_compared_figure_by_figure():
    """Only times are compared, in milliseconds: a size is neither faster nor slower."""

    def bench(scale: float) -> Report:
        rng = np.random.default_rng(round(scale * 100))
        times = list(scale * rng.normal(2.0, 0.02, 40))
        figures = [Figure("start/first mask", "first mask", "s", times), Figure("a", "A", "MB", [1.0] * 40)]
        return Report("bench", "2026", {}, {}, suites={"start": Suite(figures)})

    result = compare(bench(1.0), bench(0.5))
    (row,) = result.rows
    assert row.stage == "start/first mask" and row.verdict == "faster"
    assert row.a_ms == pytest.approx(2000, rel=0.05) and row.ratio.value == pytest.approx(0.5, rel=0.05)
    assert result.enough and not compare(bench(1.0), Report("b", "2026", {}, {})).rows
