# SPDX-License-Identifier: Apache-2.0
"""Load the Fast DDS profile for images, ``config/fastdds_images.xml``; the reasons are in that file."""

from __future__ import annotations

import os

from ..installed import CHECKOUT, installed_folders

#: Environment variables of Fast DDS 3 (ROS 2 Kilted) and of Fast DDS 2 (Humble, Jazzy).
VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")


def use_profile() -> None:
    """Use the package's profile in this process, unless the user has one; call it before ``rclpy.init``."""
    if any(os.environ.get(name) for name in VARIABLES):
        return
    for folder in (CHECKOUT / "config", *installed_folders("config")):
        profile = folder / "fastdds_images.xml"
        if profile.is_file():
            os.environ.update(dict.fromkeys(VARIABLES, str(profile)))
            return
