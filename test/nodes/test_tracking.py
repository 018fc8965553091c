# SPDX-License-Identifier: Apache-2.0
"""Ids and prompts while the camera moves, over real DDS."""

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from .harness import pixels, set_parameter
from .prompting import detection, prompt

SQUARE = 64
COLOURS = ((210, 40, 40), (40, 200, 60), (50, 60, 220))


def world() -> tuple[np.ndarray, list[tuple[int, int]]]:
    """A wide textured wall with three coloured squares, and their top-left corners."""
    rng = np.random.default_rng(3)
    wall = cv2.resize(rng.integers(70, 120, (40, 60, 1), dtype=np.uint8), (600, 400))
    wall = np.repeat(wall[..., None], 3, -1)
    places = [(140, 120), (300, 200), (260, 60)]
    for (x, y), colour in zip(places, COLOURS, strict=True):
        texture = cv2.resize(rng.integers(-30, 30, (8, 8)).astype(np.int16), (SQUARE, SQUARE))[..., None]
        wall[y : y + SQUARE, x : x + SQUARE] = np.clip(np.array(colour) + texture, 0, 255)
    return wall, places


def view(step: int) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """What the camera sees, and the middles of the squares in it; eight pixels to the right a step."""
    wall, places = world()
    x, y = 40 + 8 * step, 20 + 4 * step
    middles = [(px - x + SQUARE // 2, py - y + SQUARE // 2) for px, py in places]
    return np.ascontiguousarray(wall[y : y + 256, x : x + 320]), middles


@pytest.fixture(scope="module")
def robot(robots, colour_bundle):
    made = robots(bundle=colour_bundle)
    made.wait_state("active")
    return made


def labels_at(labels: np.ndarray, middles: list[tuple[int, int]]) -> list[int]:
    return [int(labels[y, x]) for x, y in middles]


def test_ids_survive_a_moving_camera(robot):
    set_parameter(robot, "mode", "everything")
    seen = []
    for step in range(12):
        image, middles = view(step)
        labels = pixels(robot.answer(Image, "label_map", seconds=30, image=image), np.uint16)
        seen.append(labels_at(labels, middles))
    assert all(ids == seen[0] for ids in seen), seen
    assert len(set(seen[0])) == 3 and 0 not in seen[0]


def test_a_prompt_given_once_follows_its_object(robot):
    set_parameter(robot, "mode", "prompt")
    image, middles = view(0)
    (x, y), _, (other_x, other_y) = middles
    prompt(robot, detection(x, y, SQUARE + 6, SQUARE + 6), detection(other_x, other_y, 0, 0))
    for step in range(10):
        image, middles = view(step)
        message = robot.answer(Detection2DArray, "detections", seconds=30, image=image)
        centres = {d.id: (d.bbox.center.position.x, d.bbox.center.position.y) for d in message.detections}
        assert set(centres) == {"1", "2"}, f"step {step}: {centres}"
        for identity, expected in (("1", middles[0]), ("2", middles[2])):
            assert np.linalg.norm(np.subtract(centres[identity], expected)) < 8, f"step {step}"


def test_lost_objects_are_reported_and_have_no_mask(robot):
    empty = np.repeat(world()[0][:256, 420:, :1], 3, -1)
    empty = np.ascontiguousarray(cv2.resize(empty, (320, 256)))
    for _ in range(7):
        message = robot.answer(Detection2DArray, "detections", seconds=30, image=empty)
    assert not message.detections
    assert robot.peer.until(lambda: robot.diagnostics.get("objects_lost") == "1, 2")


def test_without_tracking_prompts_stay_at_their_pixels(robot):
    set_parameter(robot, "enable_tracking", False)
    image, middles = view(0)
    prompt(robot, detection(*middles[1], SQUARE + 6, SQUARE + 6))
    for step, there in ((0, True), (12, False)):
        image, _ = view(step)
        message = robot.answer(Detection2DArray, "detections", seconds=30, image=image)
        assert [d.bbox.size_x > 0.9 * SQUARE for d in message.detections] == ([True] if there else [])
    set_parameter(robot, "enable_tracking", True)
