# SPDX-License-Identifier: Apache-2.0
"""The geometry between image, encoder input, prompt frame and logits, against independent computations."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evitsam_ros.models import model_spec
from evitsam_ros.segment.transform import Transform, preprocess, resized_shape

SIDES = st.integers(1, 2000)


@settings(deadline=None)  # the machine may be busy
@given(SIDES, SIDES, st.sampled_from([512, 640, 1024]))
def test_resized_shape_fills_the_longest_side(height, width, longest):
    rows, cols = resized_shape((height, width), longest)
    assert max(rows, cols) == longest
    assert abs(rows / cols - height / width) * min(rows, cols) <= 1.0 * max(1.0, height / width)


@settings(deadline=None)  # the machine may be busy
@given(SIDES, SIDES)
def test_corners_of_the_image_are_corners_of_the_prompt_frame(height, width):
    transform = Transform((height, width), 512, 1024, (256, 256))
    corners = transform.coords(np.array([[0, 0], [width, height]], np.float32))
    rows, cols = resized_shape((height, width), 1024)
    np.testing.assert_allclose(corners, [[0, 0], [cols, rows]], rtol=1e-5)


def upsample_by_torch(logits: np.ndarray, size: tuple[int, int], spec_size: int) -> np.ndarray:
    """SAM's way: to the prompt frame, crop the padding, to the original size; all bilinear."""
    rows, cols = resized_shape(size, spec_size)
    x = torch.from_numpy(logits)[None, None]
    x = torch.nn.functional.interpolate(x, (spec_size, spec_size), mode="bilinear", align_corners=False)
    x = x[..., :rows, :cols]
    return torch.nn.functional.interpolate(x, size, mode="bilinear", align_corners=False)[0, 0].numpy()


@pytest.mark.parametrize("size", [(480, 640), (640, 480), (1080, 1920), (333, 517), (100, 40)])
def test_upsampling_agrees_with_sams_two_steps(size):
    """One bilinear step instead of two: equal but for what the second step blurs."""
    rng = np.random.default_rng(0)
    logits = (
        torch.nn.functional.avg_pool2d(
            torch.from_numpy(rng.standard_normal((1, 1, 168, 168)).astype(np.float32)), 9, 1
        )[0, 0].numpy()
        * 10
    )
    transform = Transform(size, 640, 640, (160, 160))
    rows, cols = transform.upsampling()
    ours = rows @ logits @ cols.T
    theirs = upsample_by_torch(logits, size, 640)
    both = (ours > 0) | (theirs > 0)
    assert ((ours > 0) & (theirs > 0)).sum() / both.sum() > 0.99


def test_upsampling_rows_are_a_partition_of_unity():
    rows, cols = Transform((123, 457), 640, 640, (160, 160)).upsampling()
    np.testing.assert_allclose(rows.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(cols.sum(1), 1, rtol=1e-6)


def test_preprocessing_normalises_first_and_pads_with_zero():
    spec = model_spec("lite_sam")
    image = np.full((100, 200, 3), (255, 0, 128), np.uint8)
    blob = preprocess(image, 640, spec.mean, spec.std)
    assert blob.shape == (1, 3, 640, 640) and blob.dtype == np.float32
    expected = (np.array([255, 0, 128]) / 255 - spec.mean) / spec.std
    np.testing.assert_allclose(blob[0, :, 0, 0], expected, rtol=1e-5)
    np.testing.assert_allclose(blob[0, :, 319, 639], expected, rtol=1e-5)
    assert not blob[:, :, 320:].any()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300))
def test_preprocessing_accepts_any_size(height, width):
    spec = model_spec("efficientvit_sam_l0")
    blob = preprocess(np.zeros((height, width, 3), np.uint8), 64, spec.mean, spec.std)
    assert blob.shape == (1, 3, 64, 64) and np.isfinite(blob).all()
