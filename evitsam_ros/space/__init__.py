# SPDX-License-Identifier: Apache-2.0
"""Masks and depth -> points and boxes in space. No ROS."""

from .boxes import Box3D, box_around
from .camera_model import CalibrationError, CameraModel
from .cloud import FIELDS, check_aligned, labelled_points
from .depth import DepthError, metres

__all__ = [
    "FIELDS",
    "Box3D",
    "CalibrationError",
    "CameraModel",
    "DepthError",
    "box_around",
    "check_aligned",
    "labelled_points",
    "metres",
]
