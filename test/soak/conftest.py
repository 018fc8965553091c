# SPDX-License-Identifier: Apache-2.0
"""How long and how often: a short form with the other tests, the whole with ``make soak``."""

from __future__ import annotations

import os

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from sensor_msgs.msg import Image

from ..nodes.conftest import known_bundle, robots  # noqa: F401

#: Seconds of the 30 Hz camera.
SECONDS = float(os.environ.get("EVITSAM_SOAK_SECONDS", "4"))
WHOLE = "EVITSAM_SOAK_SECONDS" in os.environ


def pytest_collection_modifyitems(items) -> None:
    for item in items:
        if "/soak/" in str(item.path):
            item.add_marker(pytest.mark.ros)
            item.add_marker(pytest.mark.timeout(SECONDS * 4 + 900))


@pytest.fixture(scope="module")
def robot(robots):  # noqa: F811
    made = robots(history_s=1.0)
    made.wait_state("active")
    made.masks = made.peer.listen(Image, made.topic("mask"))
    return made
