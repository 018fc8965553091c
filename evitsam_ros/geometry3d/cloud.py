# SPDX-License-Identifier: Apache-2.0
"""Make labelled point clouds: the 3D points under the masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .camera_model import CameraModel

#: A point as PointCloud2 packs it; rgb as RViz and PCL read it, 0x00rrggbb in the bits of a float.
FIELDS = np.dtype(
    [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<u4"), ("label", "<u2"), ("score", "<f4")]
)


def check_aligned(depths: np.ndarray, labels: np.ndarray, camera: CameraModel) -> None:
    """Check that depth, image and calibration are of one size.

    Raises:
        ValueError: They are not; the message gives all three sizes.
    """
    if not depths.shape == labels.shape == camera.size:
        raise ValueError(
            f"depth is {depths.shape[::-1]}, image {labels.shape[::-1]}, camera_info {camera.size[::-1]} "
            "(width, height); expected depth aligned with the image, of one size"
        )


def no_points(size: tuple[int, int], organised: bool = False) -> np.ndarray:
    """Return the result of :func:`labelled_points` for an image of (H, W) pixels without depth."""
    points = np.zeros(size if organised else 0, FIELDS)
    for name in "xyz":
        points[name] = np.nan
    return points


def labelled_points(
    depths: np.ndarray,
    camera: CameraModel,
    image: np.ndarray,
    labels: np.ndarray,
    scores: dict[int, float] | np.ndarray,
    organised: bool = False,
) -> np.ndarray:
    """Compute the labelled points in the camera's optical frame.

    Args:
        depths: ``(H, W)`` float32 metres along z, NaN where unknown, aligned with the image.
        camera: of the image.
        image: ``(H, W, 3)`` uint8 RGB.
        labels: ``(H, W)`` uint16 label map, 0 background.
        scores: by label, as predicted IoU; or of every pixel, ``(H, W)`` float32.
        organised: a point for every pixel, NaN where there is none; else only those under masks.

    Returns:
        ``(N,)`` of :data:`FIELDS`, or ``(H, W)`` of them.

    Raises:
        ValueError: Depth, image and calibration differ in size.
    """
    check_aligned(depths, labels, camera)
    there = (labels > 0) & np.isfinite(depths) & camera.has_ray
    chosen = slice(None) if organised else there
    points = np.zeros(labels.shape if organised else int(there.sum()), FIELDS)
    z = np.where(there, depths, np.nan)[chosen]
    rays = camera.rays[chosen]
    points["x"], points["y"], points["z"] = rays[..., 0] * z, rays[..., 1] * z, z
    colours = image[chosen].astype(np.uint32)
    points["rgb"] = colours[..., 0] << 16 | colours[..., 1] << 8 | colours[..., 2]
    points["label"] = labels[chosen]
    if isinstance(scores, np.ndarray):
        points["score"] = np.where(labels > 0, scores, 0)[chosen]
        return points
    known = np.zeros(int(labels.max()) + 1, np.float32)
    for label, score in scores.items():
        if label < len(known):
            known[label] = score
    points["score"] = known[points["label"]]
    return points
