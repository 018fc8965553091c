# SPDX-License-Identifier: Apache-2.0
"""Which candidate is faster is decided by ratios in turns, and left undecided where these do not show it."""

import math

import numpy as np
import pytest

from evitsam_ros.autotune.race import (
    FOR_MANY_LOOKS,
    MARGIN,
    MAX_TURNS,
    MIN_TURNS,
    QUANTILES,
    Race,
    Ratio,
)


def raced(seconds, noise=0.0, turns=MAX_TURNS, neighbour=lambda turn: 1.0, seed=0) -> Race:
    """Race candidates whose true seconds are given; ``neighbour`` slows all of a turn."""
    rng = np.random.default_rng(seed)
    taken = []

    def runner(true):
        def run(turn):
            taken.append(turn)
            return true * neighbour(turn) * math.exp(rng.normal(0, noise))

        return run

    race = Race({name: runner(true) for name, true in seconds.items()}, lambda: taken[-1] + 1 < turns)
    race.run()
    return race


def test_a_clear_lead_needs_the_fewest_turns():
    race = raced({"fp32": 0.18, "bf16": 0.09})
    assert [len(times) for times in race.times.values()] == [MIN_TURNS, MIN_TURNS]
    assert race.ranking() == ["bf16"] and race.unsettled() == []
    assert race.ms("fp32") == pytest.approx(180) and race.ms("bf16") == pytest.approx(90)


def test_the_interval_is_students_of_the_pooled_noise():
    stats = pytest.importorskip("scipy.stats")
    times, reference = [9.0, 1.0, 1.1, 1.2], [1.0, 2.0, 2.1, 2.0]
    a, b = np.log(times[1:]), np.log(reference[1:])  # the first turn plans and allocates
    half = FOR_MANY_LOOKS * stats.t.ppf(0.995, 4) * np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 3)
    ratio = Ratio.of(times, reference)
    assert ratio.value == pytest.approx(1.1 / 2.1) and ratio.best == pytest.approx(1.0)
    assert ratio.low == pytest.approx(ratio.value * math.exp(-half), rel=1e-2)
    assert ratio.high == pytest.approx(ratio.value * math.exp(half), rel=1e-2)
    assert not ratio.is_faster, "neighbours make times longer, and the reference's shortest is 1.0"


@pytest.mark.parametrize("freedom", [1, 2, 3, 5, 10, 20])
def test_the_quantiles_are_students(freedom):
    stats = pytest.importorskip("scipy.stats")
    assert QUANTILES[freedom] == pytest.approx(stats.t.ppf(0.995, freedom), rel=2e-3)


@pytest.mark.parametrize("seed", range(8))
def test_load_that_slows_full_turns_does_not_change_the_decision(seed):
    slow = np.random.default_rng(100 + seed).uniform(1.0, 5.0, MAX_TURNS)
    race = raced({"fp32": 0.2, "bf16": 0.11, "other": 0.21}, 0.02, neighbour=lambda t: slow[t], seed=seed)
    assert race.ranking() == ["bf16"] and not race.unsettled()


@pytest.mark.parametrize("seed", range(8))
def test_noise_never_makes_an_equal_candidate_the_faster_one(seed):
    """The neighbour slows single runs: times of a turn have nothing in common."""
    race = raced({"fp32": 0.2, "bf16": 0.2}, noise=0.6, seed=seed)
    assert race.ranking() == []


def test_a_ratio_within_the_noise_is_unsettled():
    race = raced({"fp32": 0.2, "bf16": 0.15}, noise=0.8, turns=3, seed=3)
    assert race.ranking() == [] and race.unsettled() == ["bf16"]


def test_single_outliers_do_not_hide_a_lead():
    race = Race(
        {"fp32": lambda turn: 5.0 if turn == 3 else 1.0, "bf16": lambda turn: 4.0 if turn == 1 else 0.6},
        lambda: True,
    )
    race.run()
    assert race.ranking() == ["bf16"]


def test_about_as_fast_is_settled_without_a_warning():
    race = raced({"fp32": 0.2, "bf16": 0.2 * MARGIN}, noise=0.02)
    assert race.ranking() == [] and race.unsettled() == []


def test_the_more_exact_one_is_taken_unless_the_other_is_certainly_faster():
    assert raced({"fp32": 1.0, "bf16": 0.5, "int8": 0.49}, noise=0.01).ranking() == ["bf16", "int8"]
    assert raced({"fp32": 1.0, "bf16": 0.5, "int8": 0.40}, noise=0.01).ranking() == ["int8", "bf16"]


def test_a_slow_candidate_drops_out():
    race = raced({"fp32": 1.0, "slow": 3.0, "bf16": 0.8}, noise=0.1)
    assert len(race.times["slow"]) <= len(race.times["bf16"]) and race.ranking() in ([], ["bf16"])
    assert len(race.times["slow"]) < MAX_TURNS
