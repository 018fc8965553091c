# SPDX-License-Identifier: Apache-2.0
"""Fit oriented 3D boxes: the principal axes of an object's points, without outliers at its border."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .camera_model import CameraModel

#: Depths that deviate by more than this many median absolute deviations belong to another surface.
MAX_DEVIATIONS = 5.0
#: Minimum of that deviation in metres, so that flat objects keep their points.
MIN_SPREAD = 0.01
#: Fewer points do not define a box.
MIN_POINTS = 20


@dataclass(frozen=True)
class Box3D:
    """A box in the camera's optical frame, metres.

    Attributes:
        centre: ``(3,)``.
        axes: ``(3, 3)`` a right-handed rotation; its columns are the box's own x, y, z, longest side first.
        size: ``(3,)`` along these axes.
    """

    centre: np.ndarray
    axes: np.ndarray
    size: np.ndarray

    @property
    def quaternion(self) -> np.ndarray:
        """``(4,)`` x, y, z, w of :attr:`axes`."""
        from scipy.spatial.transform import Rotation

        return Rotation.from_matrix(self.axes).as_quat()


@dataclass(frozen=True)
class ObjectInSpace:
    """Where the visible surface of an object is.

    Attributes:
        centroid: ``(3,)`` median of its points, metres.
        box: around its points.
    """

    centroid: np.ndarray
    box: Box3D

    def moved(self, matrix: np.ndarray) -> ObjectInSpace:
        """Return the object in another frame, by its ``(4, 4)`` transform."""
        turn, shift = matrix[:3, :3], matrix[:3, 3]
        box = Box3D(turn @ self.box.centre + shift, turn @ self.box.axes, self.box.size)
        return ObjectInSpace(turn @ self.centroid + shift, box)


def objects_in_space(
    labels: np.ndarray, ids: Sequence[int], depths: np.ndarray, camera: CameraModel
) -> dict[int, ObjectInSpace]:
    """Locate the objects of a label map; those with too few points are left out.

    Args:
        labels: ``(H, W)`` uint16.
        ids: values of the label map.
        depths: ``(H, W)`` float32 metres, NaN where unknown.
        camera: Camera of labels and depths.
    """
    surfaces = {identity: surface_points(labels == identity, depths, camera) for identity in ids}
    return {
        identity: ObjectInSpace(np.median(points, 0), _principal_box(points))
        for identity, points in surfaces.items()
        if len(points) >= MIN_POINTS
    }


def box_around(mask: np.ndarray, depths: np.ndarray, camera: CameraModel, erode: int = 2) -> Box3D | None:
    """Fit a box to the visible surface of a masked object.

    Args:
        mask: ``(H, W)`` bool.
        depths: ``(H, W)`` float32 metres, NaN where unknown.
        camera: Camera of mask and depths.
        erode: Pixels removed along the mask's border, where depth cameras mix two surfaces. Small masks keep
            their border.

    Returns:
        The box, or None if too few pixels have a depth and a ray.
    """
    points = surface_points(mask, depths, camera, erode)
    return _principal_box(points) if len(points) >= MIN_POINTS else None


def surface_points(mask: np.ndarray, depths: np.ndarray, camera: CameraModel, erode: int = 2) -> np.ndarray:
    """Return the points of an object's visible surface without outliers, ``(N, 3)`` float64 metres.

    The arguments are those of :func:`box_around`.
    """
    known = np.isfinite(depths) & camera.has_ray
    if erode:
        kernel = np.ones((2 * erode + 1, 2 * erode + 1), np.uint8)
        inner = cv2.erode(mask.astype(np.uint8), kernel, borderValue=0) > 0
        mask = inner if np.count_nonzero(inner & known) >= MIN_POINTS else mask
    there = mask & known
    z = depths[there]
    if len(z) < MIN_POINTS:
        return np.zeros((0, 3))
    middle = np.median(z)
    spread = max(float(np.median(np.abs(z - middle))), MIN_SPREAD)
    near = np.abs(z - middle) <= MAX_DEVIATIONS * spread
    z = z[near].astype(np.float64)
    return np.concatenate([camera.rays[there][near] * z[:, None], z[:, None]], axis=1)


def _principal_box(points: np.ndarray) -> Box3D:
    mean = points.mean(0)
    _, axes = np.linalg.eigh(np.cov((points - mean).T))
    axes = axes[:, ::-1]
    axes[:, 2] *= np.sign(np.linalg.det(axes))
    own = (points - mean) @ axes
    low, high = own.min(0), own.max(0)
    return Box3D(mean + axes @ ((low + high) / 2), axes, high - low)
