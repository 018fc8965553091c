# SPDX-License-Identifier: Apache-2.0
"""What a mask expects of itself, against its definition and against objects drawn from it by lot."""

from dataclasses import replace

import numpy as np
import pytest

from evitsam_ros.segment import Prompt, Segmenter
from evitsam_ros.segment.mask_ranking import expected_iou

RNG = np.random.default_rng(5)


def test_confident_masks_have_an_expected_iou_of_1_and_empty_ones_of_0():
    sure, empty, unsure = ([90.0, 90.0, -90.0], [-90.0, -90.0, -90.0], [0.1, -90.0, -90.0])
    logits = np.array([sure, empty, unsure], np.float32)[:, None]
    assert expected_iou(logits) == pytest.approx([1.0, 0.0, 0.525], abs=1e-3)


def test_it_is_the_mean_iou_of_objects_drawn_from_the_probabilities():
    logits = RNG.normal(0, 3, (4, 60, 100)).astype(np.float32)
    probability, inside = 1 / (1 + np.exp(-logits.astype(float))), logits > 0
    drawn = RNG.random((200, *logits.shape)) < probability
    truth = (drawn & inside).sum((-2, -1)) / (drawn | inside).sum((-2, -1))
    assert expected_iou(logits) == pytest.approx(truth.mean(0), abs=0.01)


@pytest.fixture(scope="module")
def shipped():
    segmenter = Segmenter.open("lite_sam", "onnxruntime")
    return segmenter, segmenter.embed(RNG.integers(0, 255, (480, 640, 3), dtype=np.uint8))


def taken(shipped, share, prompts, multimask=False):
    segmenter = Segmenter(replace(shipped[0].bundle, expected_iou=share), shipped[0].runtime)
    return segmenter.decode(shipped[1], prompts, multimask=multimask)


def test_a_single_point_selects_the_mask_that_the_bundle_ranks_first(shipped):
    assert shipped[0].bundle.expected_iou == 0.8
    prompts = [Prompt(points=[xy]) for xy in RNG.uniform(20, 460, (24, 2))]
    three = taken(shipped, 0.0, prompts, multimask=True)
    predicted, expected = three.scores.reshape(-1, 3), expected_iou(three.unpadded_logits).reshape(-1, 3)
    choices = set()
    for share in (0.0, 0.8, 1.0):
        best = ((1 - share) * predicted + share * expected).argmax(1)
        masks = taken(shipped, share, prompts)
        assert (masks.mask_indices == best).all()
        # What is said of it stays the predicted IoU, which compares with other prompts'.
        assert masks.scores == pytest.approx(predicted[np.arange(len(best)), best], abs=1e-6)
        choices.add(tuple(best))
    assert len(choices) > 1


@pytest.mark.parametrize(
    "prompt",
    [Prompt(box=(100, 100, 300, 260)), Prompt(points=[(150, 150), (200, 210)], labels=[1, 0])],
    ids=["box", "two clicks"],
)
def test_unambiguous_prompts_are_ranked_by_predicted_iou_only(shipped, prompt):
    three = taken(shipped, 0.0, [prompt], multimask=True)
    assert taken(shipped, 1.0, [prompt]).mask_indices[0] == three.scores.argmax()
