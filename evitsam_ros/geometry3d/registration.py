# SPDX-License-Identifier: Apache-2.0
"""Register depth: bring the measurements of a depth camera into the pixels of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .camera_model import CameraModel

#: Factor by which a measurement covers more than its pixel, so that a tilted surface has no holes.
WIDENED = 1.25
#: Maximum side in pixels of the area that one measurement fills in the image.
MAX_FOOTPRINT = 9


def registered(
    depths: np.ndarray, depth_camera: CameraModel, to_image: np.ndarray, image_camera: CameraModel
) -> np.ndarray:
    """Move depths into the frame and the pixels of an image.

    Every measurement fills the pixels of the image that its own pixel covers; the nearest one is seen.

    Args:
        depths: ``(h, w)`` float32 metres along the depth camera's z, NaN where unknown.
        depth_camera: Calibration of the depths.
        to_image: ``(4, 4)`` transform of points in the depth camera's optical frame to the image's.
        image_camera: Calibration of the image.

    Returns:
        ``(H, W)`` float32 metres along the image camera's z, NaN without a measurement.

    Raises:
        CalibrationError: The calibration of the depth camera is for another size than its depths.
    """
    depth_camera.check_size(depths.shape)
    there = np.isfinite(depths) & depth_camera.has_ray
    z = depths[there].astype(np.float64)
    points = (
        np.column_stack([depth_camera.rays[there] * z[:, None], z]) @ to_image[:3, :3].T + to_image[:3, 3]
    )
    front = points[:, 2] > 0
    points, z = points[front], z[front]
    pixels = image_camera.project(points)
    # How many of the image's pixels a pixel of the depth covers, along its columns and rows.
    focal = np.diag(image_camera.matrix)[:2] / np.diag(depth_camera.matrix)[:2]
    half = np.minimum(WIDENED * focal * (z / points[:, 2])[:, None], MAX_FOOTPRINT) / 2
    order = np.argsort(-points[:, 2])
    order = order[np.isfinite(pixels[order]).all(1)]
    return _seen(pixels[order], half[order], points[order, 2].astype(np.float32), image_camera.size)


def _seen(pixels: np.ndarray, half: np.ndarray, z: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the nearest measurement at every pixel.

    Args:
        pixels: ``(N, 2)`` x, y of the measurements, the farthest first.
        half: ``(N, 2)`` half of the pixels that they cover, along x and y.
        z: ``(N,)`` metres.
        size: (H, W) of the image.
    """
    seen = np.full(size, np.nan, np.float32)
    if not len(z):
        return seen
    height, width = size
    reach_x, reach_y = np.ceil(half.max(0)).astype(int)
    nearest = np.clip(np.rint(pixels), -MAX_FOOTPRINT - 1, max(size) + MAX_FOOTPRINT + 1).astype(int)
    for dy in range(-reach_y, reach_y + 1):
        for dx in range(-reach_x, reach_x + 1):
            target = nearest + np.array([dx, dy])
            covered = (np.abs(target - pixels) <= half).all(1) | (dx == dy == 0)
            inside = (target >= 0).all(1) & (target < (width, height)).all(1)
            x, y = target[covered & inside].T
            layer = np.full(size, np.nan, np.float32)
            layer[y, x] = z[covered & inside]  # of several, the last one stays: the nearest
            seen = np.fmin(seen, layer)
    return seen
