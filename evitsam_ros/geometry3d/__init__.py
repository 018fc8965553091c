# SPDX-License-Identifier: Apache-2.0
"""Turn masks and depth into 3D points and boxes; camera models and transforms. No ROS."""

from .boxes import Box3D, ObjectInSpace, box_around, objects_in_space
from .camera_model import CalibrationError, CameraModel, image_matrix
from .cloud import FIELDS, check_aligned, labelled_points, no_points
from .compressed_depth import compressed_metres
from .depth import DepthError, metres
from .registration import registered
from .transform_tree import TransformError, TransformTree, pose_matrix

__all__ = [
    "FIELDS",
    "Box3D",
    "CalibrationError",
    "CameraModel",
    "DepthError",
    "ObjectInSpace",
    "TransformError",
    "TransformTree",
    "box_around",
    "check_aligned",
    "compressed_metres",
    "image_matrix",
    "labelled_points",
    "metres",
    "no_points",
    "objects_in_space",
    "pose_matrix",
    "registered",
]
