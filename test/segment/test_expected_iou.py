# SPDX-License-Identifier: Apache-2.0
"""What a mask expects of itself, against its definition and against drawing objects from it by lot."""

from dataclasses import replace

import numpy as np
import pytest

from evitsam_ros.segment import Prompt, Segmenter
from evitsam_ros.segment.expected_iou import expected_iou
from evitsam_ros.segment.fovea import Views
from evitsam_ros.segment.transform import Transform

RNG = np.random.default_rng(5)


def test_sure_masks_expect_one_and_empty_ones_nothing():
    logits = np.array([[90.0, 90.0, -90.0], [-90.0, -90.0, -90.0], [0.1, -90.0, -90.0]], np.float32)
    assert expected_iou(logits) == pytest.approx([1.0, 0.0, 0.525], abs=1e-3)


def test_it_is_the_mean_iou_of_objects_drawn_from_the_probabilities():
    logits = RNG.normal(0, 3, (4, 6000)).astype(np.float32)
    probability, inside = 1 / (1 + np.exp(-logits.astype(float))), logits > 0
    drawn = RNG.random((200, *logits.shape)) < probability
    truth = (drawn & inside).sum(-1) / (drawn | inside).sum(-1)
    assert expected_iou(logits) == pytest.approx(truth.mean(0), abs=0.01)


def test_a_cell_of_area_four_counts_as_four_cells():
    logits, areas = RNG.normal(0, 2, (3, 50)).astype(np.float32), RNG.choice([1.0, 4.0, 16.0], (3, 50))
    repeated = [np.repeat(row, size.astype(int)) for row, size in zip(logits, areas, strict=True)]
    assert expected_iou(logits, areas) == pytest.approx(
        [float(expected_iou(row)) for row in repeated], abs=1e-5
    )


def test_the_cells_of_a_view_fill_the_picture():
    transform = Transform((480, 640), 640, 640, (160, 160))
    views = Views.around(RNG.uniform(0, 480, (5, 2)), transform)
    assert (views.areas().sum(1) == 128 * 160).all()  # three of four rows of the coarsest cells are picture
    assert views.areas().shape == (5, 16 * views.cells().shape[1])


@pytest.mark.parametrize("foveal", [False, True])
def test_a_bundle_says_how_much_of_the_scores_it_is(foveal):
    shipped = Segmenter.open("lite_sam", "onnxruntime")
    assert shipped.bundle.expected_iou == 0.5
    embedding = shipped.embed(RNG.integers(0, 255, (480, 640, 3), dtype=np.uint8))
    prompts = [Prompt(points=[(x, 200)], labels=[1]) for x in (100, 300, 500)]
    scores, expected = {}, None
    for share in (0.0, 0.5, 1.0):
        segmenter = Segmenter(replace(shipped.bundle, expected_iou=share), shipped.runtime)
        masks = segmenter.decode(embedding, prompts, multimask=True, foveal=foveal)
        scores[share] = masks.scores
        expected = expected_iou(masks.visible.reshape(len(masks), -1))
    assert scores[0.5] == pytest.approx((scores[0.0] + scores[1.0]) / 2, abs=1e-6)
    # A foveal mask is interpolated between its cells, so its own cells say nearly the same.
    assert scores[1.0] == pytest.approx(expected, abs=0.05 if foveal else 1e-5)
