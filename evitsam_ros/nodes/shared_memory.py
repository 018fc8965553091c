# SPDX-License-Identifier: Apache-2.0
"""Fast DDS for messages as large as images."""

from __future__ import annotations

import os
from pathlib import Path


def use_large_shared_memory() -> None:
    """Give Fast DDS segments that hold images, unless the user has a profile of their own.

    With the stock 512 KB segment nearly every raw image between two Python processes is lost, or comes late;
    the profile belongs to the publisher: of images, and of masks.
    """
    if any(
        os.environ.get(name) for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
    ):
        return
    for folder in (Path(__file__).parents[2] / "config", *_share_folders()):
        profile = folder / "fastdds_images.xml"
        if profile.is_file():
            os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(profile)
            os.environ["FASTDDS_DEFAULT_PROFILES_FILE"] = str(profile)
            return


def _share_folders() -> list[Path]:
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    return [Path(prefix) / "share" / "evitsam_ros" / "config" for prefix in prefixes if prefix]
