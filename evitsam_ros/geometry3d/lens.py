# SPDX-License-Identifier: Apache-2.0
"""Distort and undistort rays by OpenCV's lens models, within their valid range.

A polynomial describes a lens inside its image only; further out it turns around, and several rays would
share a pixel. The range ends where the image radius stops growing, at 89 degrees off the axis at the latest.

Rays are x / z, y / z; image coordinates are in focal lengths from the principal point.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np

#: Angles off the axis at which the radius is tabulated, radians; x / z of a ray at the last one.
_ANGLES = np.linspace(0, np.radians(89), 8192)
WIDEST = float(np.tan(_ANGLES[-1]))
#: Newton's rounds; how well a ray has to lead back to its image, and when the rounds end, in focal lengths.
ROUNDS, PRECISE, SOLVED = 12, 1e-6, 1e-9


@dataclass(frozen=True)
class Lens(ABC):
    """A lens with distortion.

    Attributes:
        coefficients: ``(N,)`` float64, in OpenCV's order.
    """

    coefficients: np.ndarray

    def bend(self, rays: np.ndarray) -> np.ndarray:
        """Map ``(N, 2)`` rays to ``(N, 2)`` image coordinates; NaN beyond the lens's end."""
        with np.errstate(all="ignore"):
            inside = np.hypot(*rays.T) <= self.radii[0][-1]
            return np.where(inside[:, None], self._image(rays), np.nan)

    def straighten(self, image: np.ndarray) -> np.ndarray:
        """Map ``(N, 2)`` image coordinates to ``(N, 2)`` rays; NaN where there is none.

        A ray that does not lead back to its image is none.
        """
        with np.errstate(all="ignore"):
            rays = self._rays(image)
            right = (np.abs(self.bend(rays) - image) < PRECISE).all(1)
            return np.where(right[:, None], rays, np.nan)

    @cached_property
    def radii(self) -> tuple[np.ndarray, np.ndarray]:
        """Radii of rays, ascending to the end of the range, and of their images, without decentring."""
        rays = np.tan(_ANGLES)
        with np.errstate(all="ignore"):
            images = self._image_radius(rays)
            grows = np.diff(images) > 0
        end = len(images) if grows.all() else int(np.argmin(grows)) + 1
        return rays[:end], images[:end]

    @abstractmethod
    def _image_radius(self, radius: np.ndarray) -> np.ndarray:
        """Return the image radii of rays with these radii."""

    @abstractmethod
    def _image(self, rays: np.ndarray) -> np.ndarray:
        """Distort rays by the formula alone, without the check of the range."""

    @abstractmethod
    def _rays(self, image: np.ndarray) -> np.ndarray:
        """Undistort image coordinates by the formula alone, without the check of the range."""


class FisheyeLens(Lens):
    """The equidistant (Kannala-Brandt) model of cv2.fisheye: k1 to k4."""

    def _image_radius(self, radius: np.ndarray) -> np.ndarray:
        return self._bent(np.arctan(radius))

    def _image(self, rays: np.ndarray) -> np.ndarray:
        radius = np.hypot(*rays.T)
        return rays * np.where(radius > 0, self._image_radius(radius) / radius, 1.0)[:, None]

    def _rays(self, image: np.ndarray) -> np.ndarray:
        """Apply Newton's method to the angle, in which a fisheye is nearly linear."""
        radius = np.hypot(*image.T)
        angles = _ANGLES[: len(self.radii[0])]
        angle = np.interp(radius, self.radii[1], angles)
        slopes = self.coefficients * (3, 5, 7, 9)
        for _ in range(3):
            step = (self._bent(angle) - radius) / (1 + _polynomial(slopes, angle * angle))
            angle = np.clip(angle - step, 0, angles[-1])
        return image * np.where(radius > 0, np.tan(angle) / radius, 1.0)[:, None]

    def _bent(self, angle: np.ndarray) -> np.ndarray:
        return angle * (1 + _polynomial(self.coefficients, angle * angle))


class PolynomialLens(Lens):
    """The model of cv2.projectPoints: k1 k2 p1 p2 [k3 [k4 k5 k6 [s1 s2 s3 s4 [tau_x tau_y]]]]."""

    @cached_property
    def _filled(self) -> np.ndarray:
        return np.append(self.coefficients, np.zeros(14))[:14]

    @cached_property
    def _tilt(self) -> np.ndarray:
        """Homography of the tilted sensor, ``(3, 3)``."""
        (cx, cy), (sx, sy) = np.cos(self._filled[12:]), np.sin(self._filled[12:])
        turn = np.array([[cy, sy * sx, -sy * cx], [0, cx, sx], [sy, -cy * sx, cy * cx]])
        level = np.array([[turn[2, 2], 0, -turn[0, 2]], [0, turn[2, 2], -turn[1, 2]], [0, 0, 1]])
        return level @ turn

    def _radial(self, square: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the radial factor at squared radii, and its derivative."""
        k1, k2, _, _, k3, k4, k5, k6 = self._filled[:8]
        above, below = 1 + _polynomial((k1, k2, k3), square), 1 + _polynomial((k4, k5, k6), square)
        rises, falls = k1 + square * (2 * k2 + square * 3 * k3), k4 + square * (2 * k5 + square * 3 * k6)
        return above / below, (rises * below - above * falls) / below**2

    def _image_radius(self, radius: np.ndarray) -> np.ndarray:
        below = 1 + _polynomial(self._filled[5:8], radius * radius)
        images = radius * self._radial(radius * radius)[0]
        return np.where(np.minimum.accumulate(below) > 0, images, np.nan)

    def _image(self, rays: np.ndarray) -> np.ndarray:
        return _through(self._tilt, self._level_image(rays)[0])

    def _level_image(self, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(2, N)`` images before the tilt, and their ``(2, 2, N)`` derivatives by the rays."""
        p1, p2 = self._filled[2:4]
        s1, s2, s3, s4 = self._filled[8:12]
        x, y = rays.T
        square = x * x + y * y
        radial, slope = self._radial(square)
        u = x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x) + square * (s1 + square * s2)
        v = y * radial + p1 * (square + 2 * y * y) + 2 * p2 * x * y + square * (s3 + square * s4)
        # By the squared radius, which rises by 2 x and 2 y.
        by_u, by_v = x * slope + p2 + s1 + 2 * s2 * square, y * slope + p1 + s3 + 2 * s4 * square
        derivatives = [
            [radial + 2 * x * by_u + 2 * p1 * y + 4 * p2 * x, 2 * y * by_u + 2 * p1 * x],
            [2 * x * by_v + 2 * p2 * y, radial + 2 * y * by_v + 4 * p1 * y + 2 * p2 * x],
        ]
        return np.array([u, v]), np.array(derivatives)

    def _rays(self, image: np.ndarray) -> np.ndarray:
        """Apply Newton's method, starting at the radial solution; NaN beyond a fold."""
        level = _through(np.linalg.inv(self._tilt), image.T)
        radius = np.hypot(*level.T)
        start = np.interp(radius, self.radii[1], self.radii[0])
        rays = level * np.where(radius > 0, start / radius, 1.0)[:, None]
        left = np.arange(len(rays))
        for _ in range(ROUNDS):
            found, derivatives = self._level_image(rays[left])
            wrong = found - level[left].T
            (a, b), (c, d) = derivatives
            determinant = a * d - b * c
            step = np.array([d * wrong[0] - b * wrong[1], a * wrong[1] - c * wrong[0]]) / determinant
            solved = np.abs(wrong).max(0) < SOLVED
            rays[left] = np.where(solved & (determinant <= 0), np.nan, rays[left].T - step).T
            left = left[~solved]
            if not len(left):
                break
        return rays


def _polynomial(factors: np.ndarray | tuple, square: np.ndarray) -> np.ndarray:
    """Return ``factors[0] * square + factors[1] * square ** 2 + ...``."""
    total = np.zeros_like(square)
    for factor in reversed(factors):
        total = (total + factor) * square
    return total


def _through(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map ``(2, N)`` points by a homography, and return ``(N, 2)``."""
    moved = matrix[:, :2] @ points + matrix[:, 2:]
    return (moved[:2] / moved[2]).T
