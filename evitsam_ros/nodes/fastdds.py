# SPDX-License-Identifier: Apache-2.0
"""Fast DDS as robots with cameras need it: ``config/fastdds_images.xml``, which says why."""

from __future__ import annotations

import os

from ..installed import CHECKOUT, installed_folders

#: Who reads them: Fast DDS 3 (ROS 2 Kilted) the first, Fast DDS 2 (Humble, Jazzy) the second.
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
