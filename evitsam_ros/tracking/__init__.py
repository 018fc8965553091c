# SPDX-License-Identifier: Apache-2.0
"""Stable ids: the same object keeps its id while camera and objects move. No ROS, no torch."""

from .camera import TrackedCamera
from .prompt_tracker import PromptTracker, PromptTrackOptions
from .tracker import Tracker, TrackOptions

__all__ = ["PromptTrackOptions", "PromptTracker", "TrackOptions", "TrackedCamera", "Tracker"]
