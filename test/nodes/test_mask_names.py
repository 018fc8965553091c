# SPDX-License-Identifier: Apache-2.0
"""Masks with the class names of a semantic network, from one segmenter process over real DDS."""

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from rclpy.qos import QoSDurabilityPolicy, QoSProfile

from .colour_classes import COLOURS
from .harness import change_state, set_parameter
from .prompting import detection, prompt

vision_msgs = pytest.importorskip("vision_msgs.msg", reason="vision_msgs is not installed")

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture(scope="module")
def robot(robots, colour_classes):
    made = robots(semantic_model=colour_classes, enable_tracking=False, backend="onnxruntime", threads=1)
    made.wait_state("active")
    return made


@pytest.fixture(scope="module")
def view() -> np.ndarray:
    """Water above, grass below, and black between: rows 60 to 67."""
    image = np.zeros((128, 128, 3), np.uint8)
    image[:60], image[68:] = COLOURS["water"], COLOURS["grass"]
    return image


def names_of(message) -> dict[str, str]:
    return {found.id: found.results[0].hypothesis.class_id for found in message.detections}


def test_a_prompted_mask_has_its_majority_class(robot, view):
    prompt(robot, detection(64, 40, 40, 60, "1"), detection(64, 90, 40, 50, "2"))
    answer = robot.answer(vision_msgs.Detection2DArray, "detections", image=view)
    assert names_of(answer) == {"1": "water", "2": "grass"}
    assert robot.peer.until(lambda: "latency_classify_ms" in robot.diagnostics, 60)


def test_a_name_that_a_prompt_brings_is_kept(robot, view):
    prompt(robot, detection(64, 30, 40, 40, "1", name="boat"), detection(64, 100, 40, 40, "2"))
    answer = robot.answer(vision_msgs.Detection2DArray, "detections", image=view)
    assert names_of(answer) == {"1": "boat", "2": "grass"}


def test_masks_of_everything_mode_have_names(robot, view):
    """The known proposals lie at a quarter and at three quarters of the diagonal."""
    heard = []
    qos = QoSProfile(depth=5, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
    robot.peer.node.create_subscription(vision_msgs.LabelInfo, "/segmenter/label_info", heard.append, qos)
    assert set_parameter(robot, "mode", "everything").successful
    answer = robot.answer(vision_msgs.Detection2DArray, "detections", image=view)
    above = {each.id for each in answer.detections if each.bbox.center.position.y < 64}
    found = names_of(answer)
    assert len(found) == 2 and {found[identity] for identity in above} == {"water"}
    assert {found[identity] for identity in found.keys() - above} == {"grass"}
    expected = {0: "background"} | {int(identity): name for identity, name in found.items()}
    assert robot.peer.until(
        lambda: any({e.class_id: e.class_name for e in m.class_map} == expected for m in heard), 60
    )


def test_names_go_with_the_image_when_the_scene_changes(robot, view):
    prompt(robot, detection(64, 30, 40, 40, "1"))
    first = robot.answer(vision_msgs.Detection2DArray, "detections", image=view)
    second = robot.answer(vision_msgs.Detection2DArray, "detections", image=np.ascontiguousarray(view[::-1]))
    assert (names_of(first), names_of(second)) == ({"1": "water"}, {"1": "grass"})


def test_a_bundle_of_another_kind_is_named_and_another_can_be_set(robot, known_bundle, colour_classes, view):
    assert change_state(robot, Transition.TRANSITION_DEACTIVATE)
    assert change_state(robot, Transition.TRANSITION_CLEANUP)
    assert set_parameter(robot, "semantic_model", str(known_bundle)).successful
    assert not change_state(robot, Transition.TRANSITION_CONFIGURE)
    expected = "the bundle is of kind 'promptable'; expected 'semantic'"
    assert robot.peer.until(lambda: expected in robot.diagnostics.get("last_error", ""), 60)
    assert "parameter semantic_model:" in robot.process.output
    assert set_parameter(robot, "semantic_model", str(colour_classes)).successful
    assert change_state(robot, Transition.TRANSITION_CONFIGURE)
    assert change_state(robot, Transition.TRANSITION_ACTIVATE)
    prompt(robot, detection(64, 30, 40, 40, "1"))
    assert names_of(robot.answer(vision_msgs.Detection2DArray, "detections", image=view)) == {"1": "water"}
