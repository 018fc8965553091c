# SPDX-License-Identifier: Apache-2.0
"""Masks in pixels of the image and in cells of the network's output, against plain arrays."""

import numpy as np
import pytest

from evitsam_ros.segment.mask_grid import GRIDS
from evitsam_ros.segment.masks import Masks
from evitsam_ros.segment.transform import Transform


@pytest.fixture
def masks() -> Masks:
    """A large square with a small one on it, in 24 x 32 visible cells of 32 x 32; an image of 96 x 128."""
    logits = np.full((2, 32, 32), -5.0, np.float32)
    logits[0, 4:20, 4:28] = 5.0
    logits[1, 8:12, 10:14] = 5.0
    logits[:, 24:] = 5.0  # padding, which is no part of the image
    return Masks(
        logits, np.array([0.9, 0.8], np.float32), np.array([7, 300]), Transform((96, 128), 64, 64, (32, 32))
    )


def test_cells_of_the_network_are_the_signs_of_its_logits(masks):
    grid = GRIDS["network"]
    assert grid.size(masks) == (24, 32)
    np.testing.assert_array_equal(grid.image_pixels(masks), [4, 4])
    expected = np.zeros((24, 32), np.uint16)
    expected[4:20, 4:28] = 7
    expected[8:12, 10:14] = 300
    np.testing.assert_array_equal(grid.label_map(masks), expected)


@pytest.mark.parametrize("name", GRIDS)
def test_a_crop_is_the_tight_part_of_its_mask(masks, name):
    grid = GRIDS[name]
    complete = masks.full() if name == "image" else masks.unpadded_logits > 0
    for index in range(len(masks)):
        part, (y, x) = grid.crop(masks, index)
        assert part[0].any() and part[-1].any() and part[:, 0].any() and part[:, -1].any()
        placed = np.zeros(grid.size(masks), bool)
        placed[y : y + part.shape[0], x : x + part.shape[1]] = part
        np.testing.assert_array_equal(placed, complete[index])


@pytest.mark.parametrize("name", GRIDS)
def test_an_empty_mask_has_an_empty_crop(masks, name):
    empty = Masks(
        np.full((1, 32, 32), -5.0, np.float32), masks.scores[:1], masks.object_ids[:1], masks.transform
    )
    assert GRIDS[name].crop(empty, 0)[0].shape == (0, 0)
    assert not GRIDS[name].label_map(empty).any()
