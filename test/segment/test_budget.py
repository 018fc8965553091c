# SPDX-License-Identifier: Apache-2.0
"""As many prompts as fit: by hand, and through everything mode."""

import pytest

from evitsam_ros.segment import LatencyBudget, Prompt, Segmenter
from evitsam_ros.segment.budget import FEWEST

PROMPTS = [Prompt(points=[(float(n), 1.0)]) for n in range(100)]


def test_the_number_that_fits_is_the_remaining_time_over_the_cost_of_one():
    budget = LatencyBudget(1.0, per_prompt=0.01, afterwards=0.1)
    # 1.0 less a margin of 0.1, 0.3 spent and 0.1 to come leaves 0.5: fifty prompts.
    assert budget.cut(PROMPTS, spent=0.3) == PROMPTS[:50] and budget.left_out == 50
    assert budget.cut(PROMPTS[:20], spent=0.3) == PROMPTS[:20] and budget.left_out == 0
    assert budget.cut(PROMPTS, spent=5.0) == PROMPTS[:FEWEST] and budget.left_out == 100 - FEWEST


def test_costs_are_learnt_and_the_unknown_begins_small():
    budget = LatencyBudget(1.0)
    assert len(budget.cut(PROMPTS, spent=0.0)) == FEWEST
    budget.learn(1, decoding=0.02, afterwards=0.0)
    assert budget.per_prompt == 0.02 and len(budget.cut(PROMPTS, spent=0.0)) == 45
    for _ in range(60):
        budget.learn(40, decoding=0.4, afterwards=0.2)
    assert budget.per_prompt == pytest.approx(0.01, rel=0.01)
    assert budget.afterwards == pytest.approx(0.2, rel=0.01)
    budget.learn(0, decoding=0.0, afterwards=0.2)
    assert budget.per_prompt == pytest.approx(0.01, rel=0.01)


def test_a_budget_that_cannot_be_kept_is_known_after_a_few_frames():
    budget = LatencyBudget(0.4)
    budget.learn(FEWEST, decoding=0.1, afterwards=0.0)
    found = []
    for spent in (0.5, 0.5, 0.5, 0.5, 0.2, 0.5):
        assert len(budget.cut(PROMPTS, spent)) >= FEWEST
        assert budget.needed == pytest.approx(spent + 0.1)
        found.append(budget.is_too_small)
    assert found == [False, False, True, True, False, False]
    assert budget.cut(PROMPTS[:3], spent=0.1) == PROMPTS[:3] and budget.misses == 0


def test_everything_mode_keeps_to_it_and_is_the_same_without(bundle_folder, photograph, monkeypatch):
    segmenter, decoded = Segmenter.open(bundle_folder, "onnxruntime"), []
    decode = segmenter.decode
    monkeypatch.setattr(
        segmenter, "decode", lambda e, p, **more: decoded.append(len(p)) or decode(e, p, **more)
    )
    monkeypatch.setattr(segmenter, "propose", lambda *_: PROMPTS[:48])
    thresholds = segmenter.thresholds().replace(pred_iou_thresh=0.0, stability_score_thresh=0.0)
    first, second = (segmenter.everything(photograph, 48, thresholds).logits for _ in range(2))
    assert (first == second).all()
    budget = LatencyBudget(1e9, per_prompt=2.25e7)
    segmenter.everything(photograph, 48, thresholds, budget=budget)
    assert decoded[:2] == [48, 48]
    assert decoded[2] == 39 and budget.left_out == 9


def test_most_shown_objects_are_kept_and_the_minimum_is_a_parameter():
    budget = LatencyBudget(1.0, per_prompt=0.1, min_prompts=5)
    budget.on_show = 60
    assert len(budget.cut(PROMPTS, spent=2.0)) == 54
    assert (budget.prompts, budget.required, budget.left_out) == (100, 54, 46)
    assert len(budget.cut(PROMPTS[:3], spent=2.0)) == 3
    budget.on_show = 0
    assert len(budget.cut(PROMPTS, spent=2.0)) == 5
    assert budget.needed == pytest.approx(2.5) and budget.wanted_seconds == pytest.approx(12.0)
    rich = LatencyBudget(1e9, per_prompt=1.0, min_prompts=5, on_show=60)
    assert len(rich.cut(PROMPTS, 0.0)) == 100


def test_a_budget_starves_when_most_prompts_are_dropped_for_some_frames():
    budget = LatencyBudget(0.5, per_prompt=0.01, min_prompts=1)
    found = []
    for spent in (0.0, 0.0, 0.0, 0.0):
        budget.cut(PROMPTS, spent)
        found.append(budget.is_starving)
    assert budget.left_out == 55 and found == [False, False, True, True]
    assert budget.cut(PROMPTS[:60], 0.0) and not budget.is_starving
