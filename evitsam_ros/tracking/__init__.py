# SPDX-License-Identifier: Apache-2.0
"""Identities that last: the same object, the same id, while camera and objects move. No ROS, no torch."""

from .camera import TrackedCamera
from .prompt_tracker import Follower, FollowOptions
from .tracker import Tracker, TrackOptions

__all__ = ["FollowOptions", "Follower", "TrackOptions", "TrackedCamera", "Tracker"]
