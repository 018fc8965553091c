# SPDX-License-Identifier: Apache-2.0
"""Segment anything on a robot: EfficientViT-SAM and Lite-SAM as ROS 2 nodes."""

__version__ = "0.1.0"
