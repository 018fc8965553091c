# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the soak tests: short with the other tests, long with ``make soak``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from sensor_msgs.msg import Image

from bench.known_bundle import write_known_bundle

from ..nodes.harness import Robots
from .frames import SECONDS


def pytest_collection_modifyitems(items) -> None:
    for item in items:
        if "/soak/" in str(item.path):
            item.add_marker(pytest.mark.ros)
            item.add_marker(pytest.mark.timeout(SECONDS * 4 + 900))


@pytest.fixture(scope="module")
def robots(tmp_path_factory) -> Iterator[Robots]:
    """Return a factory of robots with known answers that are closed after the module's tests."""
    bundle = write_known_bundle(tmp_path_factory.mktemp("engines") / "known")
    made = Robots(tmp_path_factory.mktemp("logs"), bundle)
    yield made
    made.close()


@pytest.fixture(scope="module")
def robot(robots):
    """Return an active segmenter, with its masks in ``masks``."""
    made = robots(history_s=1.0)
    made.wait_state("active")
    made.masks = made.peer.listen(Image, made.topic("mask"))
    return made
