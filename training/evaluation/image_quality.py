# SPDX-License-Identifier: Apache-2.0
"""Compute PSNR and SSIM on the Y channel without borders, as usual for super-resolution."""

from __future__ import annotations

import cv2
import numpy as np

#: Y of ITU-R BT.601, 16 to 235, of RGB on the 0..1 scale.
_Y = np.array([65.481, 128.553, 24.966])
#: Of SSIM (Wang et al. 2004): a Gaussian window, and two constants for 8 bits.
WINDOW, SIGMA = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def luma(image: np.ndarray) -> np.ndarray:
    """Convert ``(H, W, 3)`` uint8 RGB to ``(H, W)`` float64 Y, not rounded."""
    return 16 + image @ _Y / 255


def psnr_y(image: np.ndarray, reference: np.ndarray, border: int = 2) -> float:
    """Compute the PSNR in dB of two ``(H, W, 3)`` uint8 RGB images on Y; infinite for equal Y.

    Args:
        image: to be scored.
        reference: of the same size.
        border: pixels cropped on each side; equal to the scale.

    Raises:
        ValueError: the sizes differ, or no pixel remains.
    """
    a, b = _inner(image, reference, border)
    mse = float(np.mean((a - b) ** 2))
    return float(10 * np.log10(255**2 / mse)) if mse else float("inf")


def ssim_y(image: np.ndarray, reference: np.ndarray, border: int = 2) -> float:
    """Compute the structural similarity; arguments and errors as in :func:`psnr_y`.

    The mean over the positions with the complete window inside the image.
    """
    a, b = _inner(image, reference, border)
    if min(a.shape) < WINDOW:
        raise ValueError(f"{a.shape[1]}x{a.shape[0]} pixels; expected at least {WINDOW} each way")
    mean_a, mean_b = _windowed(a), _windowed(b)
    var_a, var_b = _windowed(a * a) - mean_a**2, _windowed(b * b) - mean_b**2
    covariance = _windowed(a * b) - mean_a * mean_b
    upper = (2 * mean_a * mean_b + _C1) * (2 * covariance + _C2)
    lower = (mean_a**2 + mean_b**2 + _C1) * (var_a + var_b + _C2)
    return float(np.mean(upper / lower))


def _inner(image: np.ndarray, reference: np.ndarray, border: int) -> tuple[np.ndarray, np.ndarray]:
    if image.shape != reference.shape:
        raise ValueError(f"images of shapes {image.shape} and {reference.shape} differ in size")
    if min(image.shape[:2]) <= 2 * border:
        raise ValueError(f"{image.shape[1]}x{image.shape[0]} pixels have no interior")
    inner = np.s_[border : image.shape[0] - border, border : image.shape[1] - border]
    return luma(image)[inner], luma(reference)[inner]


def _windowed(values: np.ndarray) -> np.ndarray:
    """Compute Gaussian means at positions with the complete window inside."""
    half = WINDOW // 2
    return cv2.GaussianBlur(values, (WINDOW, WINDOW), SIGMA)[half:-half, half:-half]
