# SPDX-License-Identifier: Apache-2.0
"""Masks, label map, boxes, RLE and contours against naive loops and pycocotools."""

import cv2
import numpy as np
import pytest
from pycocotools import mask as codec

from evitsam_ros.segment import Masks
from evitsam_ros.segment.transform import Transform


def blobs(count: int, size: tuple[int, int], seed: int = 0) -> Masks:
    """Smooth random logits, with one empty mask and one that fills the image."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((count, 160, 160)).astype(np.float32)
    logits = np.stack([cv2.GaussianBlur(layer, (0, 0), 9) * 40 - 1.0 for layer in noise])
    logits[0], logits[1] = -5, 5
    transform = Transform(size, 640, 640, (160, 160))
    return Masks(logits, rng.random(count).astype(np.float32), np.arange(1, count + 1), transform)


@pytest.fixture(scope="module", params=[(480, 640), (301, 177)])
def masks(request) -> Masks:
    return blobs(6, request.param)


def everywhere(masks: Masks) -> np.ndarray:
    """The full-frame way: every pixel of every mask."""
    rows, cols = masks.transform.upsampling()
    return np.stack([rows @ logits @ cols.T > 0 for logits in masks.logits])


def test_masks_made_inside_their_boxes_equal_the_full_frame(masks):
    expected = everywhere(masks)
    differing = (masks.full() != expected).mean()
    assert differing < 1e-5  # float32 products of other shapes round differently at the zero crossing


def test_boxes_hold_their_masks_tightly(masks):
    for box, mask in zip(masks.boxes, everywhere(masks), strict=True):
        if not mask.any():
            assert not box.any()
            continue
        ys, xs = np.nonzero(mask)
        outer = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
        assert (box[:2] <= outer[:2] + 1).all() and (box[2:] >= outer[2:] - 1).all()
        assert np.abs(box - outer).max() <= 1.5 * masks.transform.pixels_per_cell.max()


def test_areas_are_those_of_the_full_masks(masks):
    full = everywhere(masks).sum((1, 2))
    np.testing.assert_allclose(masks.areas, full, rtol=0.06, atol=60)


def test_label_map_equals_a_naive_loop_with_small_objects_on_top(masks):
    expected = np.zeros(masks.image_size, np.uint16)
    full = masks.full()
    for index in sorted(range(len(masks)), key=lambda i: -masks.areas[i]):
        for y, x in zip(*np.nonzero(full[index]), strict=True):
            expected[y, x] = masks.object_ids[index]
    np.testing.assert_array_equal(masks.label_map(), expected)
    assert masks.label_map().dtype == np.uint16


def test_rle_decodes_to_the_masks(masks):
    for rle, mask in zip(masks.rle(), masks.full(), strict=True):
        np.testing.assert_array_equal(codec.decode(rle).astype(bool), mask)


def test_filled_contours_are_the_masks_without_their_holes(masks):
    for outlines, mask in zip(masks.contours(), masks.full(), strict=True):
        filled = np.zeros(mask.shape, np.uint8)
        cv2.drawContours(filled, [outline.astype(np.int32) for outline in outlines], -1, 1, cv2.FILLED)
        assert not (mask & (filled == 0)).any()


def test_selection_and_emptiness():
    masks = blobs(5, (120, 160))
    some = masks.select(np.array([3, 1]))
    assert some.object_ids.tolist() == [4, 2]
    none = masks.select(np.zeros(5, bool))
    assert len(none) == 0 and none.boxes.shape == (0, 4)
    assert none.full().shape == (0, 120, 160)
    assert not none.label_map().any()
    assert none.rle() == [] and none.contours() == []


def test_old_names_warn():
    transform = Transform((4, 4), 4, 4, (4, 4))
    masks = Masks(np.ones((1, 4, 4), np.float32), np.ones(1), np.ones(1, int), transform)
    with pytest.warns(DeprecationWarning, match=r"use Masks\.unpadded_logits"):
        np.testing.assert_array_equal(masks.visible, masks.unpadded_logits)
    with pytest.warns(DeprecationWarning, match=r"use Masks\.mask_indices"):
        assert masks.levels is None
