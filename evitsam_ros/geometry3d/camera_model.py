# SPDX-License-Identifier: Apache-2.0
"""Turn sensor_msgs/CameraInfo into rays and projections (REP 104; OpenCV's models).

Pixels are OpenCV's and ROS's: the centre of the top-left pixel is (0, 0). (Prompts and boxes count from its
corner, so that the same centre is (0.5, 0.5) there.) The frame is the optical one of REP 103: x right,
y down, z forward, in metres.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .lens import WIDEST, FisheyeLens, Lens, PolynomialLens

#: Names that drivers give to no distortion, to OpenCV's model, and to OpenCV's fisheye.
UNDISTORTED = ("", "none", "pinhole")
POLYNOMIAL = ("plumb_bob", "rational_polynomial", "thin_prism", "brown_conrady")
FISHEYE = ("equidistant", "fisheye", "kannala_brandt", "kannala_brandt4")
#: Numbers of coefficients of OpenCV's model, and of its fisheye; drivers may fill up with zeros.
POLYNOMIAL_COUNTS, FISHEYE_COUNT = (4, 5, 8, 12, 14), 4
#: Minimum share of the pixels that have a ray; with fewer, the coefficients are not those of a lens. (The
#: circle of a fisheye fills a third of a wide image.)
MIN_RAY_SHARE, MIN_FISHEYE_RAY_SHARE = 0.5, 0.2


class CalibrationError(ValueError):
    """A CameraInfo cannot be used."""


@dataclass(frozen=True)
class CameraModel:
    """A calibrated camera.

    Attributes:
        matrix: ``(3, 3)`` float64 intrinsics.
        lens: its distortion; None for a rectified image.
        size: (H, W) in pixels.
    """

    matrix: np.ndarray
    lens: Lens | None
    size: tuple[int, int]

    @classmethod
    def from_info(cls, info: Any, rectified: bool = False) -> CameraModel:
        """Make a model from a sensor_msgs/CameraInfo, or an object with its fields.

        Args:
            info: Calibration of the image.
            rectified: The image is rectified: use ``p``, without distortion, in place of ``k`` and ``d``.

        Raises:
            CalibrationError: The camera is not calibrated, the distortion model or its number of coefficients
                is unknown, or the distortion cannot be inverted.
        """
        matrix = image_matrix(info, info.p if rectified else info.k)[:, :3].copy()
        if not np.isfinite(matrix).all() or matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
            raise CalibrationError(
                f"camera_info has focal lengths {matrix[0, 0]}, {matrix[1, 1]}; expected those of a "
                "calibrated camera, more than 0"
            )
        lens = None if rectified else lens_of(info.distortion_model, np.array(info.d, float))
        binning = _binning(info)
        width, height = info.roi.width or info.width, info.roi.height or info.height
        size = (int(height // binning[1]), int(width // binning[0]))
        if 0 in size:
            raise CalibrationError(f"camera_info has size {size[1]}x{size[0]}; expected that of the image")
        made = cls(matrix, lens, size)
        smallest = MIN_FISHEYE_RAY_SHARE if isinstance(lens, FisheyeLens) else MIN_RAY_SHARE
        if (share := made._share_with_rays()) < smallest:
            raise CalibrationError(
                f"camera_info has distortion coefficients {list(info.d)}, which leave {1 - share:.0%} of the "
                "image without a ray; expected those of a lens"
            )
        return made

    def check_size(self, image: tuple[int, int]) -> None:
        """Check that the calibration belongs to an image of (H, W) pixels.

        Raises:
            CalibrationError: It belongs to another size; the message gives both.
        """
        if image != self.size:
            raise CalibrationError(
                f"camera_info describes {self.size[1]}x{self.size[0]} pixels, the image has "
                f"{image[1]}x{image[0]}; expected the camera_info of this image (or its binning and roi set)"
            )

    @cached_property
    def rays(self) -> np.ndarray:
        """Rays of all pixels as x / z, y / z, ``(H, W, 2)`` float32; NaN where there is none."""
        height, width = self.size
        grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float64)
        return self.unproject(grid.reshape(-1, 2)).reshape(height, width, 2).astype(np.float32)

    @cached_property
    def has_ray(self) -> np.ndarray:
        """Pixels that have a ray, ``(H, W)`` bool."""
        return np.isfinite(self.rays).all(-1)

    def unproject(self, pixels: np.ndarray) -> np.ndarray:
        """Map ``(N, 2)`` pixels x, y to ``(N, 2)`` rays x / z, y / z; NaN where there is none."""
        bent = (np.asarray(pixels, np.float64).reshape(-1, 2) - self._centre) / self._focal
        if self.lens is not None:
            return self.lens.straighten(bent)
        return np.where((np.hypot(*bent.T) <= WIDEST)[:, None], bent, np.nan)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project ``(N, 3)`` points to ``(N, 2)`` pixels x, y; NaN beyond the lens's range.

        Raises:
            ValueError: A point is not in front of the camera.
        """
        points = np.asarray(points, np.float64).reshape(-1, 3)
        if (points[:, 2] <= 0).any():
            raise ValueError("a point lies behind the camera")
        rays = points[:, :2] / points[:, 2:]
        return (rays if self.lens is None else self.lens.bend(rays)) * self._focal + self._centre

    @property
    def _focal(self) -> np.ndarray:
        return np.diag(self.matrix)[:2]

    @property
    def _centre(self) -> np.ndarray:
        return self.matrix[:2, 2]

    def _share_with_rays(self) -> float:
        """The share of 32 x 32 pixels all over the image that have a ray."""
        height, width = self.size
        places = np.meshgrid(np.linspace(0, width - 1, 32), np.linspace(0, height - 1, 32))
        return float(np.isfinite(self.unproject(np.stack(places, axis=-1).reshape(-1, 2))).all(1).mean())


def image_matrix(info: Any, values: Any) -> np.ndarray:
    """Return ``k`` or ``p`` of a CameraInfo for the image as it is published: with its roi and binning.

    Args:
        info: a sensor_msgs/CameraInfo.
        values: its ``k`` or ``p``.

    Returns:
        ``(3, 3)`` or ``(3, 4)`` float64.
    """
    matrix = np.array(values, float).reshape(3, -1)
    binning = _binning(info)
    matrix[:2, 2] -= (info.roi.x_offset, info.roi.y_offset)
    matrix[:2] /= binning[:, None]
    # The centre of a pixel of 2 x 2 is where the four corners meet.
    matrix[:2, 2] -= (1 - 1 / binning) / 2
    return matrix


def _binning(info: Any) -> np.ndarray:
    return np.array([max(1, info.binning_x), max(1, info.binning_y)])


def lens_of(model: str, coefficients: np.ndarray) -> Lens | None:
    """Return the lens of a CameraInfo's ``distortion_model`` and ``d``; None without distortion.

    If all coefficients are 0 there is no distortion, with any model, as in image_geometry.

    Raises:
        CalibrationError: The model or the number of coefficients is unknown, or they are not finite.
    """
    name = model.lower()
    if name not in UNDISTORTED + POLYNOMIAL + FISHEYE:
        known = ", ".join(POLYNOMIAL + FISHEYE + UNDISTORTED[1:])
        raise CalibrationError(
            f"camera_info has distortion model {model!r}; expected one of {known}, or none"
        )
    if not np.isfinite(coefficients).all():
        raise CalibrationError(
            f"camera_info has distortion coefficients {coefficients.tolist()}; expected finite numbers"
        )
    if not coefficients.any():
        return None
    if name in POLYNOMIAL and len(coefficients) in POLYNOMIAL_COUNTS:
        return PolynomialLens(coefficients)
    if name in FISHEYE and len(coefficients) >= FISHEYE_COUNT and not coefficients[FISHEYE_COUNT:].any():
        return FisheyeLens(coefficients[:FISHEYE_COUNT])
    counts = {POLYNOMIAL: POLYNOMIAL_COUNTS, FISHEYE: (FISHEYE_COUNT,), UNDISTORTED: (0,)}
    expected = next(numbers for names, numbers in counts.items() if name in names)
    raise CalibrationError(
        f"camera_info has distortion model {model!r} with {len(coefficients)} coefficients, not all 0; "
        f"expected {' or '.join(map(str, expected))}"
    )
