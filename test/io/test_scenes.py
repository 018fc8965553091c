# SPDX-License-Identifier: Apache-2.0
"""Scenes with depth: the drawn one by closed forms, the photograph by its other image."""

import sys

import cv2
import numpy as np
import pytest

from evitsam_ros.io import scenes
from evitsam_ros.io.scenes import SceneError, open_scene


def test_the_drawn_room_has_the_depth_of_its_shapes():
    room = open_scene("room")
    assert room.image.shape == (480, 640, 3) and room.image.dtype == np.uint8
    assert room.depth.shape == (480, 640) and room.depth.dtype == np.float32
    assert room.depth[0, 0] == pytest.approx(4.0)
    cx, cy = room.centre
    rows = np.arange(400, 480)
    np.testing.assert_allclose(room.depth[rows, 0], scenes.FLOOR * room.focal / (rows - cy), rtol=1e-5)
    for middle, radius in scenes.SPHERES:
        x, y = (round(c + room.focal * m / middle[2]) for c, m in zip((cx, cy), middle[:2], strict=True))
        distance = np.linalg.norm(middle)
        nearest = middle[2] * (distance - radius) / distance  # on the ray through its centre
        assert room.depth[y, x] == pytest.approx(nearest, abs=0.005)
        window = np.s_[y - 10 : y + 11, x - 10 : x + 11]
        rays = np.stack(np.meshgrid(np.arange(x - 10, x + 11) - cx, np.arange(y - 10, y + 11) - cy), -1)
        points = np.dstack([rays / room.focal, np.ones((21, 21))]) * room.depth[window][..., None]
        np.testing.assert_allclose(np.linalg.norm(points - middle, axis=-1), radius, atol=1e-4)
    assert len(np.unique(room.image[100:400].reshape(-1, 3), axis=0)) > 1000  # it is no blank


def test_the_photographs_depth_maps_one_image_onto_the_other():
    """A pixel of the left image is found in the right one where its depth says."""
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    scene, (left, right, _) = open_scene("motorcycle"), data.stereo_motorcycle()
    assert np.array_equal(scene.image[..., ::-1], left)
    known = np.isfinite(scene.depth)
    assert 0.9 < known.mean() < 0.95 and 1.9 < scene.depth[known].min() < scene.depth[known].max() < 5.5
    columns, rows = np.meshgrid(
        np.arange(left.shape[1], dtype=np.float32), np.arange(left.shape[0], dtype=np.float32)
    )
    shift = scene.focal * scenes.BASELINE / np.where(known, scene.depth, 1) - scenes.OFFSET
    there = (columns - shift).astype(np.float32)
    moved = cv2.remap(right, there, rows, cv2.INTER_LINEAR)
    inside = known & (there > 0)
    difference = np.abs(moved.astype(int) - left).mean(-1)
    assert np.median(difference[inside]) < 6
    apart = np.abs(right.astype(int) - left).mean(-1)
    assert difference[inside].mean() < 0.4 * apart[inside].mean()


def test_an_unknown_scene_and_a_missing_package_are_named(monkeypatch):
    with pytest.raises(SceneError, match=r"'kitchen' does not exist; expected one of motorcycle, room"):
        open_scene("kitchen")
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(SceneError, match=r"pip install scikit-image, or use scene:room"):
        open_scene("motorcycle")
