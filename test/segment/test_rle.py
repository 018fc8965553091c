# SPDX-License-Identifier: Apache-2.0
"""COCO's run-length encoding against pycocotools, character by character."""

import numpy as np
import pytest
from pycocotools import mask as codec

from evitsam_ros.segment.rle import encode_rle


def by_pycocotools(mask: np.ndarray) -> dict:
    rle = codec.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


@pytest.mark.parametrize("share", [0.0, 0.001, 0.02, 0.5, 0.98, 1.0])
def test_random_masks_are_encoded_as_by_pycocotools(share):
    rng = np.random.default_rng(7)
    for _ in range(60):
        height, width = rng.integers(1, 90, 2)
        mask = rng.random((height, width)) < share
        assert encode_rle(mask) == by_pycocotools(mask)


@pytest.mark.parametrize("size", [(1080, 1920), (1, 1), (1, 70), (70, 1), (4000, 5000)])
def test_long_runs_and_their_differences_of_both_signs(size):
    rng = np.random.default_rng(1)
    mask = np.zeros(size, bool)
    assert encode_rle(mask) == by_pycocotools(mask)
    assert encode_rle(~mask) == by_pycocotools(~mask)
    flat = mask.ravel()  # a view: runs of 1 to all pixels in any order
    for edge in np.unique((rng.random(9) ** 6 * flat.size).astype(int)):
        flat[edge:] ^= True
    assert encode_rle(mask) == by_pycocotools(mask)
    assert encode_rle(mask.T) == by_pycocotools(mask.T)


def test_the_encoding_decodes_to_the_mask():
    mask = np.random.default_rng(2).random((37, 53)) < 0.4
    np.testing.assert_array_equal(codec.decode(encode_rle(mask)), mask)
