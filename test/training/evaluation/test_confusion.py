# SPDX-License-Identifier: Apache-2.0
"""Mean IoU against sets of pixels counted one class at a time."""

import numpy as np
import pytest

from evitsam_ros.dense.class_tables import IGNORED
from training.evaluation.confusion import Confusion


def by_sets(pairs, classes: int) -> list[float]:
    """IoU of each class from the sets of its pixels, over all images."""
    scores = []
    for number in range(classes):
        right = union = 0
        for truth, predicted in pairs:
            counted = truth != IGNORED
            a, b = (truth == number) & counted, (predicted == number) & counted
            right, union = right + (a & b).sum(), union + (a | b).sum()
        scores.append(right / union if union else float("nan"))
    return scores


def test_iou_is_that_of_the_sets_of_pixels():
    rng = np.random.default_rng(0)
    pairs = []
    for size in ((20, 30), (7, 9), (40, 3)):
        truth = rng.choice([0, 1, 2, 4, IGNORED], size).astype(np.uint8)
        predicted = np.where(rng.random(size) < 0.6, truth, rng.choice([0, 1, 2, 3], size)).astype(np.uint8)
        pairs.append((truth, predicted))
    confusion = Confusion(6)
    for truth, predicted in pairs:
        confusion.add(truth, predicted)
    expected = by_sets(pairs, 6)
    np.testing.assert_allclose(confusion.iou(), expected)
    assert np.isnan(expected[5]) and expected[3] == 0
    assert confusion.mean_iou() == pytest.approx(np.nanmean(expected))
    right = sum(((t == p) & (t != IGNORED)).sum() for t, p in pairs)
    assert confusion.accuracy() == pytest.approx(right / sum((t != IGNORED).sum() for t, _ in pairs))


def test_void_is_a_wrong_answer_and_unlabelled_pixels_are_none():
    confusion = Confusion(2)
    truth = np.array([[0, 0, 1, IGNORED]], np.uint8)
    confusion.add(truth, np.array([[0, IGNORED, 1, 1]], np.uint8))
    np.testing.assert_allclose(confusion.iou(), [0.5, 1.0])
    assert confusion.accuracy() == pytest.approx(2 / 3)


def test_no_pixels_give_nan_and_other_sizes_are_rejected():
    confusion = Confusion(2)
    assert np.isnan(confusion.mean_iou()) and np.isnan(confusion.accuracy())
    with pytest.raises(ValueError, match="differ in size"):
        confusion.add(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))
    with pytest.raises(ValueError, match="out of range"):
        confusion.add(np.full((1, 1), 2, np.uint8), np.zeros((1, 1), np.uint8))
