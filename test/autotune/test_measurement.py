# SPDX-License-Identifier: Apache-2.0
"""The fastest backend that draws float32's masks is chosen for each network, within a budget."""

import numpy as np
import pytest

from evitsam_ros.autotune.budget import Budget
from evitsam_ros.autotune.measurement import measure
from evitsam_ros.autotune.proof import LIMITS
from evitsam_ros.backends import BACKENDS
from evitsam_ros.backends.choice import MAX_ATTEMPTS, read_choice


def verdict(choice, network: str, backend: str) -> str:
    return next(each.verdict for each in choice.networks[network].candidates if each.backend == backend)


def test_each_network_gets_its_fastest(measured, machine):
    machine.seconds["own_bf16", "decoder"] = 0.03
    machine.seconds["own_int8", "proposals"] = 0.005
    choice = measured().choice
    assert choice.backends == {"encoder": "own_bf16", "decoder": "own", "proposals": "own_int8"}
    encoder = {each.backend: each for each in choice.networks["encoder"].candidates}
    assert encoder["own"].ms == pytest.approx(20) and encoder["own_bf16"].ms == pytest.approx(10)
    assert encoder["own_bf16"].value == 1.0 and encoder["own_int8"].verdict == "not faster"
    assert "far ahead" in encoder["other"].verdict and encoder["other"].ms is None
    assert str(choice).startswith("encoder: own_bf16 (own 20 ms, float32; own_bf16 10 ms, mask IoU 1.0000")
    assert choice.seconds == pytest.approx(machine.now, abs=0.01)


def test_masks_that_differ_are_rejected_however_fast(measured, machine):
    machine.seconds["own_bf16"], machine.shift["own_bf16"] = 0.001, 12.0
    choice = measured().choice
    # Its encoder draws with float32's decoder as float32 does; its decoder does not.
    assert choice.backends["encoder"] == "own_bf16" and choice.backends["decoder"] == "own"
    reason = verdict(choice, "decoder", "own_bf16")
    assert "masks agree by IoU" in reason and str(LIMITS["bf16"][0]) in reason
    found = next(c for c in choice.networks["decoder"].candidates if c.backend == "own_bf16")
    assert found.value < LIMITS["bf16"][0] and found.ms == pytest.approx(1)


def test_the_next_in_speed_is_taken_where_the_fastest_draws_other_masks(measured, machine):
    machine.seconds |= {"own_int8": 0.002, "own_bf16": 0.01}
    machine.shift["own_int8"] = 30.0
    choice = measured().choice
    assert choice.backends["decoder"] == "own_bf16" and "int8 needs" in verdict(choice, "decoder", "own_int8")


def test_values_that_are_not_finite_are_rejected(measured, machine):
    machine.shift["own_bf16"] = np.nan
    assert "not finite" in verdict(measured().choice, "decoder", "own_bf16")


def test_another_runtime_is_taken_for_all_networks_or_for_none(measured, machine):
    machine.seconds |= {"own_bf16": 0.03, "other": 0.015}
    choice = measured().choice
    assert set(choice.backends.values()) == {"other"}
    assert verdict(choice, "encoder", "own") == "float32"
    machine.seconds["other", "encoder"] = 0.026  # its decoder's lead is gone with this
    assert set(measured().choice.backends.values()) == {"own"}


def test_float32_stays_when_other_load_hides_the_timings(measured, machine):
    rng = np.random.default_rng(1)
    machine.seconds["own_bf16"] = 0.017
    machine.noise = lambda: float(np.exp(rng.normal(0, 1.5)))
    choice = measured(seconds=3.0).choice
    assert not choice.backends and set(choice.unsettled) >= {"encoder", "decoder"}
    assert "did not settle" in choice.unsettled["encoder"] or "no time" in choice.unsettled["encoder"]


def test_the_budget_is_kept_and_the_rest_is_measured_later(measured, machine, known):
    complete = measured()
    needed = complete.choice.seconds
    assert complete.choice.is_final(known)
    machine.now, machine.loads = 0.5, []
    first = measured(seconds=needed - 0.2)
    assert machine.now <= needed - 0.2 + 0.02
    assert set(first.choice.backends) == {"encoder", "decoder"} and "proposals" in first.choice.unsettled
    assert not first.choice.is_final(known)
    machine.now = 0.5
    second = measured(before=first.choice)
    assert second.choice.backends == complete.choice.backends and second.choice.attempts == 2
    assert not second.choice.unsettled and second.choice.is_final(known)


def test_a_backend_that_cannot_load_or_run_leaves_float32(measured, machine, monkeypatch):
    def broken(self, bundle, network, threads):
        raise ValueError("illegal instruction")

    monkeypatch.setattr(BACKENDS["own_bf16"], "load", broken)
    choice = measured().choice
    assert not choice.backends and "illegal instruction" in choice.unsettled["encoder"]


def test_attempts_are_counted_and_end(machine, known, photograph):
    machine.noise = lambda: 1e6
    for attempt in range(1, MAX_ATTEMPTS + 1):
        machine.now = 0.5
        choice = measure(known, [photograph], Budget(1.0, lambda: machine.now))
        assert choice.attempts == attempt and read_choice(known) == choice and not choice.backends
    assert choice.is_final(known)


def test_all_of_a_choice_is_stored(machine, known, photograph):
    choice = measure(known, [photograph], Budget(60.0, lambda: machine.now))
    assert read_choice(known) == choice and choice.backends["encoder"] == "own_bf16"
    machine.seconds["own_bf16"] = 0.5
    assert measure(known, [photograph], Budget(60.0, lambda: machine.now)).backends == choice.backends
    again = measure(known, [photograph], Budget(60.0, lambda: machine.now), again=True)
    assert set(again.backends.values()) == {"own"}
