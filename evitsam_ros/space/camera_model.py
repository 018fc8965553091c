# SPDX-License-Identifier: Apache-2.0
"""How a camera sees: sensor_msgs/CameraInfo as rays and projections (REP 104; OpenCV's models).

Pixels are OpenCV's and ROS's: the centre of the top-left pixel is (0, 0). The frame is the optical one of
REP 103: x right, y down, z forward, in metres.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np

#: Distortion models and how many coefficients they may have.
MODELS = {"": (0,), "plumb_bob": (0, 4, 5), "rational_polynomial": (8,), "equidistant": (4,)}
#: Undistortion stops when every pixel is met this well, or after so many rounds.
PRECISE, ROUNDS = 1e-3, 50
#: Less than this share of the image undistorted means that the coefficients are no lens's.
LEAST_UNDISTORTED = 0.5


class CalibrationError(ValueError):
    """A CameraInfo that says nothing usable."""


@dataclass(frozen=True)
class CameraModel:
    """A calibrated camera.

    Attributes:
        matrix: ``(3, 3)`` float64 intrinsics.
        distortion: ``(N,)`` float64 coefficients; empty for a rectified image.
        fisheye: the coefficients are those of the equidistant model.
        size: (H, W) in pixels.
    """

    matrix: np.ndarray
    distortion: np.ndarray
    fisheye: bool
    size: tuple[int, int]

    @classmethod
    def from_info(cls, info: Any, rectified: bool = False) -> CameraModel:
        """From a sensor_msgs/CameraInfo, or what has its fields.

        Args:
            info: of the image.
            rectified: the image is: ``p`` describes it, without distortion; else ``k`` and ``d`` do.

        Raises:
            CalibrationError: not calibrated, a distortion model or a number of coefficients is unknown, or
                there is no way back through the distortion.
        """
        model, coefficients = info.distortion_model, np.array(info.d, float)
        matrix = np.array(info.p if rectified else info.k, float).reshape(3, -1)[:, :3].copy()
        if not np.isfinite(matrix).all() or matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
            raise CalibrationError(
                f"camera_info has focal lengths {matrix[0, 0]}, {matrix[1, 1]}; expected those of a "
                "calibrated camera, more than 0"
            )
        if rectified:
            coefficients = np.zeros(0)
        elif model not in MODELS or len(coefficients) not in MODELS[model]:
            known = ", ".join(f"{name or 'none'} ({'/'.join(map(str, n))})" for name, n in MODELS.items())
            raise CalibrationError(
                f"camera_info has distortion model {model!r} with {len(coefficients)} coefficients; "
                f"expected one of {known}"
            )
        if not np.isfinite(coefficients).all():
            raise CalibrationError(
                f"camera_info has distortion coefficients {coefficients.tolist()}; expected finite numbers"
            )
        binning = np.array([max(1, info.binning_x), max(1, info.binning_y)])
        matrix[:2, 2] -= (info.roi.x_offset, info.roi.y_offset)
        matrix[:2] /= binning[:, None]
        width, height = info.roi.width or info.width, info.roi.height or info.height
        size = (int(height // binning[1]), int(width // binning[0]))
        coefficients = coefficients if coefficients.any() else np.zeros(0)
        made = cls(matrix, coefficients, model == "equidistant", size)
        if (share := made._undistorted()) < LEAST_UNDISTORTED:
            raise CalibrationError(
                f"camera_info has distortion coefficients {coefficients.tolist()}, which leave "
                f"{1 - share:.0%} of the image without a ray; expected those of a lens"
            )
        return made

    @cached_property
    def rays(self) -> np.ndarray:
        """``(H, W, 2)`` float32: x / z and y / z of what pixels see; not finite where there is no ray."""
        height, width = self.size
        grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float64)
        with np.errstate(all="ignore"):  # the corners of a wide lens may have no ray
            return self.unproject(grid.reshape(-1, 2)).reshape(height, width, 2).astype(np.float32)

    def unproject(self, pixels: np.ndarray) -> np.ndarray:
        """``(N, 2)`` pixels x, y -> ``(N, 2)`` x / z, y / z."""
        if not len(self.distortion):
            return (pixels - self.matrix[:2, 2]) / (self.matrix[0, 0], self.matrix[1, 1])
        pixels = np.asarray(pixels, np.float64).reshape(-1, 2)
        if self.fisheye:
            return cv2.fisheye.undistortPoints(pixels[:, None], self.matrix, self.distortion)[:, 0]
        # OpenCV stops after five rounds, too early for wide lenses; how to ask for more differs by version.
        focal = np.diag(self.matrix)[:2]
        rays = (pixels - self.matrix[:2, 2]) / focal
        left = np.arange(len(rays))
        for _ in range(ROUNDS):
            wrong = pixels[left] - self.project(np.hstack([rays[left], np.ones((len(left), 1))]))
            rays[left] += wrong / focal
            most = np.abs(wrong).max(1)
            left = left[np.isfinite(most) & (most >= PRECISE)]
            if not len(left):
                break
        return rays

    def _undistorted(self) -> float:
        """The share of the image, of 16 x 16 pixels all over it, whose rays lead back to it."""
        if not len(self.distortion):
            return 1.0
        height, width = self.size
        places = np.meshgrid(np.linspace(0, width, 16), np.linspace(0, height, 16))
        pixels = np.stack(places, axis=-1).reshape(-1, 2)
        with np.errstate(all="ignore"):
            rays = self.unproject(pixels)
            back = self.project(np.hstack([rays, np.ones((len(rays), 1))]))
            return float((np.abs(back - pixels).max(1) < 1).mean())

    def project(self, points: np.ndarray) -> np.ndarray:
        """``(N, 3)`` points in front of the camera -> ``(N, 2)`` pixels x, y.

        Raises:
            ValueError: a point is not in front of the camera.
        """
        points = np.asarray(points, np.float64).reshape(-1, 3)
        if (points[:, 2] <= 0).any():
            raise ValueError("a point lies behind the camera")
        if not len(self.distortion):
            flat = points[:, :2] / points[:, 2:]
            return flat * (self.matrix[0, 0], self.matrix[1, 1]) + self.matrix[:2, 2]
        nothing = np.zeros(3)
        project = cv2.fisheye.projectPoints if self.fisheye else cv2.projectPoints
        return project(points[:, None], nothing, nothing, self.matrix, self.distortion)[0].reshape(-1, 2)
