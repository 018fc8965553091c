# SPDX-License-Identifier: Apache-2.0
"""ROS 2 bags by rosbags: frames out of them, and copies with masks. No ROS has to be installed."""

from .channel import BagError
from .files import SUFFIXES, is_bag
from .reader import open_bag, read_frames

__all__ = ["SUFFIXES", "BagError", "is_bag", "open_bag", "read_frames"]
