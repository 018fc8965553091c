# SPDX-License-Identifier: Apache-2.0
"""A node whose model is not installed says what to type, and takes the model once that was done."""

import shutil

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState

from evitsam_ros.fetch.fetch import FetchOptions, install_brought

from .conftest import Robot

pytestmark = pytest.mark.ros
NAME = "efficientvit_sam_l0"


@pytest.fixture
def robot(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    robot = Robot(tmp_path, NAME)
    yield robot
    assert robot.close() in (0, 2)


def transition(robot: Robot, identity: int) -> bool:
    request = ChangeState.Request(transition=Transition(id=identity))
    return robot.peer.call(ChangeState, robot.topic("change_state"), request).success


def test_a_missing_model_names_the_install_command_and_is_used_once_installed(robot, known_bundle, tmp_path):
    text = f"bundle '{NAME}' is not installed: evitsam fetch {NAME}"
    assert robot.peer.until(lambda: text in robot.process.output, 300), robot.process.output
    assert robot.process.process.poll() is None
    brought = shutil.copytree(known_bundle, tmp_path / "brought" / NAME)
    install_brought(brought, FetchOptions(brought=brought), lambda _: None)
    assert transition(robot, Transition.TRANSITION_CONFIGURE)
    assert transition(robot, Transition.TRANSITION_ACTIVATE)
    robot.wait_state("active")
