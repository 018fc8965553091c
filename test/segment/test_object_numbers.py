# SPDX-License-Identifier: Apache-2.0
"""Numbers in the overlay: where they are drawn, and where there is no room."""

import numpy as np
import pytest

from evitsam_ros.segment.object_numbers import draw_numbers, widest_places


def labels_with(*parts: tuple[int, slice, slice], size=(240, 320)) -> np.ndarray:
    labels = np.zeros(size, np.uint16)
    for identity, rows, columns in parts:
        labels[rows, columns] = identity
    return labels


@pytest.mark.parametrize("scale", [1, 5])
def test_widest_place_is_the_middle_of_a_square(scale):
    labels = labels_with(
        (3, slice(40 * scale, 101 * scale), slice(60 * scale, 121 * scale)),
        (9, slice(70 * scale, 75 * scale), slice(121 * scale, 300 * scale)),  # a tail on its right
        size=(240 * scale, 320 * scale),
    )
    places = widest_places(labels)
    x, y, radius = places[3]
    np.testing.assert_allclose([x, y, radius], [90 * scale, 70 * scale, 30 * scale], atol=3.0 * scale)
    assert places[9][2] <= 4 * scale


def test_numbers_stay_inside_their_objects_and_small_ones_have_none():
    labels = labels_with(
        (1, slice(20, 100), slice(20, 140)),
        (234, slice(20, 100), slice(140, 260)),
        (7, slice(150, 158), slice(50, 200)),  # no room
        (65535, slice(170, 230), slice(40, 280)),
    )
    image = np.full((*labels.shape, 3), 90, np.uint8)
    assert sorted(draw_numbers(image, labels)) == [1, 234, 65535]
    changed = (image != 90).any(-1)
    assert set(np.unique(labels[changed])) == {1, 234, 65535}
    assert (image[changed] > 200).all(1).any(), "white on black"
    # A larger id takes more ink than a small one: the digits differ.
    assert changed[labels == 234].sum() > changed[labels == 1].sum() > 20


def test_an_image_without_objects_or_of_one_pixel_is_unchanged():
    for size in ((240, 320), (1, 1)):
        image = np.zeros((*size, 3), np.uint8)
        assert draw_numbers(image, np.zeros(size, np.uint16)) == [] and not image.any()
    image = np.zeros((1, 1, 3), np.uint8)
    assert draw_numbers(image, np.ones((1, 1), np.uint16)) == []


def test_objects_that_touch_the_border_and_one_another_have_their_own_places():
    labels = np.repeat(np.repeat(np.arange(1, 7, dtype=np.uint16).reshape(2, 3), 80, 0), 80, 1)
    places = widest_places(labels)
    for identity, (x, y, radius) in places.items():
        assert labels[int(y), int(x)] == identity and 36 <= radius <= 41
