# SPDX-License-Identifier: Apache-2.0
"""Image sizes of the ROS figures."""

#: (W, H) by name.
SIZES = {"VGA": (640, 480), "720p": (1280, 720), "1080p": (1920, 1080)}
