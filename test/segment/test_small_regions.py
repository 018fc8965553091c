# SPDX-License-Identifier: Apache-2.0
"""Holes and specks, beside scipy's labels of full-size regions."""

import numpy as np
import pytest
from scipy import ndimage

from evitsam_ros.segment.small_regions import remove_small_regions


def reference(mask: np.ndarray, share: float) -> np.ndarray:
    """The same rule with scipy.ndimage, region by region."""
    limit, result = share * mask.sum(), mask.copy()
    for cells, structure in ((mask, np.ones((3, 3))), (~mask, None)):
        labels, count = ndimage.label(cells, structure)
        sizes = ndimage.sum_labels(cells, labels, range(1, count + 1))
        for index, size in enumerate(sizes):
            if size < limit and index != int(np.argmax(sizes)):
                result[labels == index + 1] = ~mask[labels == index + 1]
    return result


@pytest.mark.parametrize("share", [0.0, 0.01, 0.05, 0.5])
@pytest.mark.parametrize("seed", range(6))
def test_regions_are_those_of_scipy(seed, share):
    noise = np.random.default_rng(seed).standard_normal((5, 48, 64)).astype(np.float32)
    sigmas = (1, 1, 2, 3, 6)
    logits = np.stack([ndimage.gaussian_filter(part, s) for part, s in zip(noise, sigmas, strict=True)])
    logits += np.float32(0.02)
    before = logits.copy()
    cleaned = remove_small_regions(logits, share)
    np.testing.assert_array_equal(logits, before)
    np.testing.assert_array_equal(np.abs(cleaned), np.abs(logits))
    for mask, found in zip(logits > 0, cleaned > 0, strict=True):
        np.testing.assert_array_equal(found, reference(mask, share))


def test_a_ring_keeps_its_large_hole_and_loses_its_small_one():
    logits = np.full((1, 40, 40), -1.0, np.float32)
    logits[0, 5:35, 5:35] = 1
    logits[0, 10:20, 10:20] = -1  # an eighth of the mask
    logits[0, 30, 30] = -1
    logits[0, 0, 0] = 1
    cleaned = remove_small_regions(logits, 0.02)[0]
    assert cleaned[15, 15] < 0 and cleaned[30, 30] > 0 and cleaned[0, 0] < 0


@pytest.mark.parametrize("value", [-1.0, 1.0])
def test_empty_and_full_masks_are_unchanged(value):
    logits = np.full((2, 8, 8), value, np.float32)
    assert remove_small_regions(logits, 0.1) is logits
    assert remove_small_regions(logits[:0], 0.1).shape == (0, 8, 8)
