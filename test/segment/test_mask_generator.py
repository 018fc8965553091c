# SPDX-License-Identifier: Apache-2.0
"""Everything mode as a generator of its own: its options, its timings, and the predictor's delegate."""

import numpy as np
import pytest

from evitsam_ros.segment import Frame, GeneratorOptions, LatencyBudget, MaskGenerator, Prompt, Segmenter
from evitsam_ros.segment.timing import StageTimer, add_timings


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter.open("lite_sam", "onnxruntime")


@pytest.fixture(scope="module")
def embedding(segmenter, photograph):
    return segmenter.embed(photograph)


def same(a, b) -> bool:
    return len(a) == len(b) > 0 and bool((a.logits == b.logits).all() and (a.scores == b.scores).all())


def test_the_predictor_delegates_with_all_options(segmenter, embedding):
    thresholds = segmenter.thresholds().replace(pred_iou_thresh=0.3, stability_score_thresh=0.3)
    extra = [Prompt(points=[(220, 90)])]
    options = GeneratorOptions(24, thresholds, foveal=True, refine=False)
    expected = MaskGenerator(segmenter, options).generate(embedding, extra)
    assert same(segmenter.everything(embedding, 24, thresholds, extra_prompts=extra, refine=False), expected)
    grid = MaskGenerator(segmenter, GeneratorOptions(thresholds=thresholds, points_per_side=4))
    assert same(
        segmenter.everything(embedding, thresholds=thresholds, points_per_side=4), grid.generate(embedding)
    )


@pytest.mark.parametrize("option", [{"foveal": False}, {"refine": False}, {"max_prompts": 16}])
def test_every_option_changes_the_masks(segmenter, embedding, option):
    masks = MaskGenerator(segmenter, GeneratorOptions(**option)).generate(embedding)
    assert not same(masks, MaskGenerator(segmenter).generate(embedding))


def test_timings_are_those_of_the_call_and_in_the_order_of_the_work(segmenter, photograph):
    embedding = segmenter.embed(photograph)
    assert list(embedding.timings) == ["preprocess", "encode"]
    decoded = segmenter.decode(embedding, [Prompt(box=(40, 50, 300, 400))])
    assert list(decoded.timings) == ["decode"]
    assert list(decoded.select(slice(1)).timings) == ["decode"]
    found = MaskGenerator(segmenter).generate(embedding)
    assert set(found.timings) == {"decode", "propose", "filter", "look again"}
    of_frame = MaskGenerator(segmenter).generate(Frame(photograph))
    assert {"preprocess", "encode"} | set(found.timings) == set(of_frame.timings)
    parts = [embedding.timings, decoded.timings, found.timings, of_frame.timings]
    assert all(seconds > 0 for part in parts for seconds in part.values())
    assert not segmenter.empty_result(Frame(photograph)).timings


def test_a_budget_includes_the_time_before_the_call(segmenter, embedding):
    spent = sum(embedding.timings.values())

    def left_out(elapsed: float) -> int:
        budget = LatencyBudget(1e6, per_prompt=1e4)
        MaskGenerator(segmenter, GeneratorOptions(budget=budget)).generate(embedding, elapsed=elapsed)
        assert budget.needed == pytest.approx(elapsed + spent + 32e4, abs=60)
        return budget.left_out

    assert left_out(0.0) == 0
    assert left_out(5e5) == 64 - 39  # (0.9 - 0.5) of the budget at a hundredth a prompt, less the embedding


def test_timings_of_parts_add_up_stage_by_stage():
    timer = StageTimer()
    for _ in range(2):
        with timer.stage("a"):
            pass
    first = timer.seconds["a"]
    assert add_timings({"b": 1.0, "a": 2.0}, timer.seconds) == {"b": 1.0, "a": 2.0 + first}
    assert np.isclose(add_timings({}, {}, {"c": 0.5})["c"], 0.5)
