# SPDX-License-Identifier: Apache-2.0
"""Tiles cover an image once, and inputs show the whole image."""

import numpy as np
import pytest

from evitsam_ros.dense.fit import Fit
from evitsam_ros.dense.tiles import kept_parts


@pytest.mark.parametrize("overlap", [0, 1, 8])
@pytest.mark.parametrize("length", [1, 39, 40, 41, 63, 64, 65, 400])
def test_every_pixel_is_kept_once_and_away_from_the_borders_of_its_tile(length, overlap):
    tile, covered = 40, np.zeros(length, int)
    for start, begin, end in kept_parts(length, tile, overlap):
        covered[begin:end] += 1
        assert start >= 0 and (start + tile <= length or start == 0)
        assert begin == 0 or begin - start >= overlap
        assert end == length or start + tile - end >= overlap
    assert (covered == 1).all()


@pytest.mark.parametrize("size", [(480, 640), (640, 480), (360, 480), (17, 1000), (1000, 17), (1080, 1920)])
def test_image_fills_the_input_and_keeps_its_shape(size):
    fit = Fit.of(size, (384, 512), 8)
    assert all(
        side % 8 == 0 and 8 <= side <= limit for side, limit in zip(fit.content, (384, 512), strict=True)
    )
    assert fit.content[0] > 384 - 8 or fit.content[1] > 512 - 8
    scales = [inner / outer for inner, outer in zip(fit.content, size, strict=True)]
    assert abs(scales[0] - scales[1]) * max(size) <= 8 or min(fit.content) == 8


def test_padding_is_the_mean_colour_and_pixels_are_normalised():
    image = np.full((20, 40, 3), (10, 20, 30), np.uint8)
    fit = Fit.of((20, 40), (32, 32), 8)
    blob = fit.network_input(image, (0.1, 0.2, 0.3), (0.5, 0.25, 0.125))
    assert blob.shape == (1, 3, 32, 32) and blob.dtype == np.float32
    for channel, (value, mean, std) in enumerate(((10, 0.1, 0.5), (20, 0.2, 0.25), (30, 0.3, 0.125))):
        np.testing.assert_allclose(blob[0, channel, :16], (value / 255 - mean) / std, atol=1e-6)
    assert not blob[:, :, 16:].any()
