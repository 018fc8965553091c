# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the node tests: bundles with known answers, and robots that run them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from std_srvs.srv import Trigger

from bench.known_bundle import write_known_bundle

from .colour_bundle import write_colour_bundle
from .colour_classes import write_colour_classes
from .harness import Robot, Robots, set_parameter
from .web_process import WebProcess


def pytest_collection_modifyitems(items) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.ros)


@pytest.fixture(scope="session")
def known_bundle(tmp_path_factory) -> Path:
    """Return a bundle that answers a box with the box, and a point with a disc.

    A background point cuts a disc out. Two proposals: at a quarter and at three quarters of the diagonal.
    """
    return write_known_bundle(tmp_path_factory.mktemp("engines") / "known")


@pytest.fixture(scope="session")
def colour_bundle(tmp_path_factory) -> Path:
    """Return a bundle whose masks are coloured regions of the image."""
    return write_colour_bundle(tmp_path_factory.mktemp("engines") / "colour")


@pytest.fixture(scope="session")
def colour_classes(tmp_path_factory) -> Path:
    """Return a semantic bundle whose classes are the colours of the image."""
    return write_colour_classes(tmp_path_factory.mktemp("engines") / "colours")


@pytest.fixture(scope="module")
def robots(tmp_path_factory, known_bundle) -> Iterator[Robots]:
    """Return a factory of robots that are closed after the module's tests."""
    made = Robots(tmp_path_factory.mktemp("logs"), known_bundle)
    yield made
    made.close()


@pytest.fixture(scope="module")
def robot(robots) -> Robot:
    """Return one active segmenter for all tests of a module."""
    made = robots()
    made.wait_state("active")
    return made


@pytest.fixture
def clean(robot) -> None:
    """Clear the prompts of the module's robot, and set it to prompt mode."""
    robot.peer.call(Trigger, robot.topic("clear_prompts"), Trigger.Request())
    assert set_parameter(robot, "mode", "prompt").successful


@pytest.fixture(scope="module")
def gated(robots, known_bundle, tmp_path_factory):
    """Return a session with a robot whose encoder the test can hold."""
    from .event_session import Session  # it skips tests where vision_msgs is not built
    from .gated_segmenter import Gate

    folder = tmp_path_factory.mktemp("engines") / "gated"
    shutil.copytree(known_bundle, folder)
    robot = robots(bundle=folder, module="test.nodes.gated_segmenter", history_s=60.0, backend="onnxruntime")
    robot.wait_state("active")
    return Session(robot, Gate(folder))


@pytest.fixture
def node(gated):
    """Return the session of an active robot without prompts, with the parameters at their defaults."""
    gated.gate.open()
    gated.enable(True)
    gated.robot.wait_state("active")
    gated.clear()
    for name, value in (("mode", "prompt"), ("enable_tracking", True), ("missing_image_policy", "reject")):
        gated.parameter(name, value)
    gated.next_answer()
    yield gated
    gated.gate.open()


@pytest.fixture(scope="module")
def web(robot, tmp_path_factory) -> Iterator[WebProcess]:
    """Return the node ``web`` of the module's segmenter."""
    process = WebProcess(robot.domain, tmp_path_factory.mktemp("web"))
    yield process
    assert process.stop() in (0, 2), process.output
    assert "Traceback" not in process.output
