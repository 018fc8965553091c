# SPDX-License-Identifier: Apache-2.0
"""Pauses of the node and restarts of the camera.

The rules are in ``docs/event_order.md``.
"""

import numpy as np
import pytest

from .event_session import ACTIVATE, DEACTIVATE, A, B, Session, boxed, row, shown
from .gated_segmenter import Gate
from .harness import change_state


@row("pause, pause", "resume, resume", "resume, slow inference")
def test_enable_and_lifecycle_count_separately(node):
    node.click(A)
    node.enable(False)
    assert change_state(node.robot, DEACTIVATE) and change_state(node.robot, ACTIVATE)
    node.robot.wait_state("disabled")
    before = node.robot.stamp
    for _ in range(3):
        node.robot.send_image()
    node.enable(True)
    node.enable(True)
    first = node.in_work()
    node.enable(True)
    waits = node.image()
    node.gate.open()
    node.answer(waits, (A,))
    assert node.answers(first) == [{A}]
    assert not [mask for mask in node.masks if before < mask.header.stamp.sec < first]


@row("clear, restart", "remove, restart", "parameter, restart", "pause, restart", "resume, restart")
def test_a_restart_keeps_the_prompts(node):
    node.array(0, boxed(A), boxed(B))
    stamp = node.image()
    (identity,) = node.labels_at(stamp, B)
    node.robot.stamp += 100
    node.remove(identity)
    assert node.next_answer() == {A}
    node.enable(False)
    node.robot.stamp -= 50
    node.parameter("enable_tracking", False)
    node.enable(True)
    node.robot.stamp += 100
    assert node.next_answer() == {A}
    node.clear()
    node.robot.stamp += 100
    assert node.next_answer() == set()


@row("restart, slow inference")
def test_the_image_in_work_is_answered_when_the_camera_restarts(node):
    node.click(A)
    first = node.in_work()
    node.robot.stamp += 100
    again = node.image()
    node.gate.open()
    node.answer(again, (A,))
    assert node.answers(first) == [{A}]


@pytest.fixture(scope="module")
def scenes(robots, colour_bundle) -> Session:
    robot = robots(bundle=colour_bundle, backend="onnxruntime")
    robot.wait_state("active")
    return Session(robot, Gate(colour_bundle))


def scene(colour: tuple[int, int, int], place: tuple[int, int] = B) -> np.ndarray:
    """A coloured patch on a grey wall."""
    image = np.full((96, 128, 3), 90, np.uint8)
    x, y = place
    image[y - 14 : y + 14, x - 14 : x + 14] = colour
    return image


RED, BLUE = (250, 10, 10), (10, 10, 250)
PAUSES = {
    "disabled": lambda node: (node.enable(False), node.enable(True)),
    "deactivated": lambda node: (change_state(node.robot, DEACTIVATE), change_state(node.robot, ACTIVATE)),
    "restarted": lambda node: setattr(node.robot, "stamp", node.robot.stamp + 100),
}


@row("pause, resume")
@pytest.mark.parametrize("pause", PAUSES)
def test_after_a_pause_another_object_does_not_have_an_old_id(scenes, pause):
    scenes.parameter("mode", "prompt")
    scenes.clear()
    scenes.array(0, boxed(B))
    assert shown(scenes.answer(scenes.image(scene(RED)))) == {B}
    PAUSES[pause](scenes)
    other = scenes.image(scene(BLUE))
    assert shown(scenes.answer(other)) == set()
    PAUSES[pause](scenes)
    assert shown(scenes.answer(scenes.image(scene(RED)))) == {B}, "it is known by its looks"
    scenes.parameter("mode", "everything")
    (before,) = scenes.labels_at(scenes.image(scene(RED)), B)
    PAUSES[pause](scenes)
    (after,) = scenes.labels_at(scenes.image(scene(RED)), B)
    assert before and after and before != after
