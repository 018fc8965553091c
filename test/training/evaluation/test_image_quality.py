# SPDX-License-Identifier: Apache-2.0
"""PSNR and SSIM against scikit-image, the resizing against MATLAB's formula."""

import numpy as np
import pytest
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from training.bicubic import double_size, even_crop, half_size
from training.evaluation.image_quality import luma, psnr_y, ssim_y


@pytest.fixture(scope="module")
def noisy(photograph):
    image = np.ascontiguousarray(photograph[100:221, 60:163])
    noise = np.random.default_rng(0).normal(0, 9, image.shape)
    return image, np.clip(image + noise, 0, 255).astype(np.uint8)


def test_luma_is_that_of_scikit_image(noisy):
    np.testing.assert_allclose(luma(noisy[0]), rgb2ycbcr(noisy[0])[..., 0], atol=1e-9)


@pytest.mark.parametrize("border", [0, 2, 4])
def test_psnr_and_ssim_are_those_of_scikit_image(noisy, border):
    inner = np.s_[border : 121 - border, border : 103 - border]
    a, b = (rgb2ycbcr(image)[..., 0][inner] for image in noisy)
    assert psnr_y(*noisy, border) == pytest.approx(peak_signal_noise_ratio(a, b, data_range=255), abs=1e-9)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    assert ssim_y(*noisy, border) == pytest.approx(structural_similarity(a, b, **options), abs=1e-6)


def test_equal_images_and_images_that_do_not_fit(noisy):
    image = noisy[0]
    assert psnr_y(image, image) == float("inf") and ssim_y(image, image) == pytest.approx(1)
    with pytest.raises(ValueError, match="differ in size"):
        psnr_y(image, image[1:])
    with pytest.raises(ValueError, match="no interior"):
        psnr_y(image[:4], image[:4])
    with pytest.raises(ValueError, match="at least 11"):
        ssim_y(image[:12], image[:12])


def matlab_weights(outputs: int, inputs: int) -> np.ndarray:
    """``(outputs, inputs)`` of ``imresize``: Keys' kernel with -0.5, stretched where it shrinks."""
    scale = outputs / inputs
    stretch = min(scale, 1.0)
    weights = np.zeros((outputs, inputs))
    for row in range(outputs):
        centre = (row + 0.5) / scale - 0.5
        for index in range(int(np.floor(centre - 2 / stretch)), int(np.ceil(centre + 2 / stretch)) + 1):
            x = abs(centre - index) * stretch
            near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
            value = near if x <= 1 else far if x <= 2 else 0.0
            mirrored = index if 0 <= index < inputs else (-1 - index if index < 0 else 2 * inputs - 1 - index)
            weights[row, mirrored] += value
    return weights / weights.sum(1, keepdims=True)


@pytest.mark.parametrize("resize", [half_size, double_size])
def test_bicubic_is_that_of_matlab(noisy, resize):
    image = even_crop(noisy[0]) // 2 + np.uint8(60)  # overshoots stay in 8 bits: between the axes PIL rounds
    found = resize(image)
    rows, cols = (matlab_weights(found.shape[i], image.shape[i]) for i in (0, 1))
    expected = np.einsum("ij,jkc,lk->ilc", rows, image.astype(float), cols)
    inner = np.s_[4:-4, 4:-4]  # the two treat ends in different ways
    difference = np.abs(found[inner].astype(float) - np.clip(expected, 0, 255)[inner])
    assert difference.max() < 1.6 and difference.mean() < 0.35  # rounded twice


def test_odd_sides_are_rejected_and_cut(noisy):
    with pytest.raises(ValueError, match="103x121 pixels cannot be halved"):
        half_size(noisy[0])
    assert even_crop(noisy[0]).shape == (120, 102, 3)
