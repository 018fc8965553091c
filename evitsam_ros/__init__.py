# SPDX-License-Identifier: Apache-2.0
"""Segment anything on a robot: EfficientViT-SAM and Lite-SAM as ROS 2 nodes."""

from . import moved_modules

__version__ = "0.2.0"

moved_modules.install()
