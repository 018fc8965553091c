# SPDX-License-Identifier: Apache-2.0
"""The parts of everything mode against their definitions."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evitsam_ros.segment import Masks, Thresholds
from evitsam_ros.segment.mask_filter import box_nms, filter_masks, stability
from evitsam_ros.segment.proposals import decode_proposals, grid_prompts
from evitsam_ros.segment.transform import Transform


def naive_iou(a, b) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / area if area else 0.0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 25), st.integers(0, 10_000), st.floats(0.1, 0.9))
def test_nms_equals_the_naive_loop(count, seed, limit):
    rng = np.random.default_rng(seed)
    low = rng.random((count, 2)) * 10
    boxes = np.concatenate([low, low + 1 + rng.random((count, 2)) * 8], axis=1)
    scores = rng.random(count)
    kept: list[int] = []
    for index in sorted(range(count), key=lambda i: -scores[i]):
        if all(naive_iou(boxes[index], boxes[other]) <= limit for other in kept):
            kept.append(index)
    assert box_nms(boxes, scores, limit).tolist() == kept


def test_stability_is_the_iou_of_the_two_cuts():
    logits = np.random.default_rng(0).standard_normal((4, 30, 30)).astype(np.float32) * 3
    for value, layer in zip(stability(logits), logits, strict=True):
        inner, outer = layer > 1, layer > -1
        assert value == pytest.approx((inner & outer).sum() / (inner | outer).sum())


def test_grid_is_sams():
    points = np.array([prompt.points[0] for prompt in grid_prompts((480, 640), 32)])
    assert len(points) == 1024
    np.testing.assert_allclose(points[0], [10, 7.5])
    np.testing.assert_allclose(points[-1], [630, 472.5])


def test_proposals_are_the_peaks_best_first_with_their_boxes():
    transform = Transform((480, 640), 640, 640, (160, 160))
    heat = np.zeros((160, 160), np.float32)
    peaks = {(30, 40): 0.9, (30, 41): 0.8, (100, 120): 0.7, (60, 20): 0.05, (140, 50): 0.95}
    for (row, col), value in peaks.items():
        heat[row, col] = value
    distances = np.full((4, 160, 160), 0.05, np.float32)
    prompts = decode_proposals(heat[None, None], distances[None], transform, max_prompts=10, threshold=0.1)
    # (30, 41) is beside a higher peak, (60, 20) too cold, (140, 50) in the padding below the picture.
    points = [prompt.points[0].tolist() for prompt in prompts]
    assert points == [[40.5 * 4, 30.5 * 4], [120.5 * 4, 100.5 * 4]]
    np.testing.assert_allclose(prompts[0].box, [162 - 32, 122 - 32, 162 + 32, 122 + 32], atol=1e-3)
    assert len(decode_proposals(heat[None, None], distances[None], transform, 1, 0.1)) == 1
    points = decode_proposals(heat[None, None], distances[None], transform, 10, 0.1, boxes=False)
    assert [p.box for p in points] == [None, None]
    np.testing.assert_array_equal(points[0].proposal_box, prompts[0].box)


def disc(x: float, y: float, radius: float, sharp: float = 20.0) -> np.ndarray:
    ys, xs = np.mgrid[:160, :160] + 0.5
    return ((radius - np.hypot(xs - x, ys - y)) * sharp).astype(np.float32)


def test_choice_drops_low_scores_unstable_masks_duplicates_and_specks():
    layers = [
        disc(40, 40, 12),
        disc(40.5, 40, 12),
        disc(110, 60, 15, sharp=0.05),
        disc(90, 90, 9),
        disc(20, 100, 0.4),
    ]
    scores = np.array([0.9, 0.8, 0.95, 0.3, 0.9], np.float32)
    transform = Transform((480, 640), 640, 640, (160, 160))
    masks = Masks(np.stack(layers), scores, np.arange(5), transform)
    kept = filter_masks(
        masks, Thresholds(pred_iou_thresh=0.5, stability_score_thresh=0.8, box_nms_thresh=0.7, min_area=40)
    )
    assert kept.scores.tolist() == pytest.approx([0.9])
    assert kept.object_ids.tolist() == [1]
    truth = np.zeros((480, 640), np.uint8)
    cv2.circle(truth, (160, 160), 48, 1, -1)
    full = kept.full()[0]
    assert (full & (truth > 0)).sum() / (full | (truth > 0)).sum() > 0.95
