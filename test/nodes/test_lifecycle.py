# SPDX-License-Identifier: Apache-2.0
"""The segmenter under a lifecycle manager."""

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import GetState
from sensor_msgs.msg import Image

from .harness import change_state, pixels
from .prompting import detection, prompt


def state(robot) -> str:
    return robot.peer.call(GetState, robot.topic("get_state"), GetState.Request()).current_state.label


def test_cycles_of_the_lifecycle_leave_a_working_node(robots):
    robot = robots(autostart=False)
    robot.wait_state("inactive")
    assert state(robot) == "unconfigured"
    for _ in range(3):
        assert change_state(robot, Transition.TRANSITION_CONFIGURE)
        assert change_state(robot, Transition.TRANSITION_ACTIVATE)
        robot.wait_state("active")
        prompt(robot, detection(60, 40, 50, 30))
        assert pixels(robot.answer(Image, "mask"))[40, 60] == 255
        assert change_state(robot, Transition.TRANSITION_DEACTIVATE)
        assert state(robot) == "inactive"
        assert change_state(robot, Transition.TRANSITION_CLEANUP)
        assert state(robot) == "unconfigured"


def test_a_deactivated_node_is_silent_and_continues_when_activated(robots):
    robot = robots()
    robot.wait_state("active")
    prompt(robot, detection(60, 40, 50, 30))
    robot.answer(Image, "mask")
    assert change_state(robot, Transition.TRANSITION_DEACTIVATE)
    heard = robot.peer.heard[robot.topic("mask")]
    robot.peer.until(lambda: False, 0.5)
    count = len(heard)
    for _ in range(3):
        robot.send_image()
    robot.peer.until(lambda: False, 1.0)
    assert len(heard) == count
    assert change_state(robot, Transition.TRANSITION_ACTIVATE)
    assert pixels(robot.answer(Image, "mask"))[40, 60] == 255


def test_failed_configuration_can_be_mended(robots, known_bundle, tmp_path):
    folder = tmp_path / "later"
    robot = robots(bundle=folder)
    assert robot.peer.until(lambda: robot.count("configure") == 1, 300)
    assert state(robot) == "unconfigured"
    folder.symlink_to(known_bundle)
    assert change_state(robot, Transition.TRANSITION_CONFIGURE)
    assert change_state(robot, Transition.TRANSITION_ACTIVATE)
    prompt(robot, detection(60, 40, 50, 30))
    robot.answer(Image, "mask")
