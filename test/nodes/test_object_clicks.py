# SPDX-License-Identifier: Apache-2.0
"""Clicks: in everything mode a prompted object beside the others; on an object that is shown, that object."""

from __future__ import annotations

import numpy as np
import pytest
from geometry_msgs.msg import Point
from std_msgs.msg import Header, UInt32

from evitsam_ros.nodes.messages import image_message
from evitsam_ros.nodes.object_clicks import MAX_CLICKS, ShownObjects
from evitsam_ros.segment import Masks, Prompt
from evitsam_ros.segment.transform import Transform

from .harness import pixels
from .offline_pipeline import OfflinePipeline
from .prompting import detection, vision_msgs

#: Places of the known bundle's two proposals in an image of 128 x 128, and one between them.
FIRST, SECOND, ELSEWHERE = (33, 33), (97, 97), (97, 33)


class Camera(OfflinePipeline):
    """A camera that looks at something grey."""

    second = 0

    def labels(self) -> np.ndarray:
        """The label map of another image."""
        self.second += 1
        message = image_message(Header(frame_id="camera_7"), np.full((128, 128, 3), 90, np.uint8), "rgb8")
        message.header.stamp.sec = self.second
        self.give("image", message)
        self.work()
        return pixels(self.outputs["~/label_map"].messages[-1], np.uint16)

    def click(self, place: tuple[int, int]) -> dict[str, int]:
        return self.give("~/pixel", Point(x=float(place[0]), y=float(place[1])))

    def ids(self) -> set[int]:
        return {int(item.id) for item in self.outputs["~/detections"].messages[-1].detections}


def at(labels: np.ndarray, place: tuple[int, int]) -> int:
    return int(labels[place[1], place[0]])


@pytest.fixture(params=[True, False], ids=["tracked", "untracked"])
def camera(request, known_bundle) -> Camera:
    made = Camera(known_bundle, mode="everything", enable_tracking=request.param)
    made.set_parameter("score_threshold", 0.0)
    made.set_parameter("stability_threshold", 0.0)
    yield made
    made.pipeline.release()


def test_a_click_beside_the_objects_of_everything_mode_adds_one_until_it_is_removed(camera):
    before = camera.labels()
    shown = {at(before, FIRST), at(before, SECOND)}
    assert 0 not in shown and len(shown) == 2 and not at(before, ELSEWHERE)
    assert "objects_selected" not in camera.click(ELSEWHERE)
    for _ in range(3):
        labels = camera.labels()
        added = at(labels, ELSEWHERE)
        assert added and {at(labels, FIRST), at(labels, SECOND)} == shown and added not in shown
        assert camera.ids() == shown | {added} == set(np.unique(labels)) - {0}
    assert camera.give("~/remove_object", UInt32(data=added)) == {"objects_removed": 1}
    labels = camera.labels()
    assert not at(labels, ELSEWHERE) and {at(labels, FIRST), at(labels, SECOND)} == shown


def test_a_click_on_an_object_of_everything_mode_selects_it_with_its_id(camera):
    before = camera.labels()
    identity, other = at(before, FIRST), at(before, SECOND)
    assert camera.click(FIRST) == {"objects_selected": 1, "prompts_in": 1}
    for _ in range(3):
        labels = camera.labels()
        assert at(labels, FIRST) == identity and len(camera.ids()) == 2
        # The decoder of the known bundle answers a box with the box.
        assert (labels == identity).sum() >= (before == identity).sum()
        assert camera.prompts.ids() == [identity]
    assert at(labels, SECOND) == other
    camera.set_parameter("mode", "prompt")
    assert set(np.unique(camera.labels())) == {0, identity}, "it is kept"
    camera.prompts.clear()
    assert set(np.unique(camera.labels())) == {0}


@pytest.mark.parametrize("mode", ["prompt", "everything"])
def test_a_second_click_on_an_object_refines_it(known_bundle, mode):
    camera = Camera(known_bundle, mode=mode)
    camera.labels()
    camera.click(ELSEWHERE)
    labels = camera.labels()
    identity, size = at(labels, ELSEWHERE), (labels == at(labels, ELSEWHERE)).sum()
    inside = (ELSEWHERE[0] + 8, ELSEWHERE[1])
    assert at(labels, inside) == identity
    assert camera.click(inside) == {"objects_refined": 1, "prompts_in": 1}
    labels = camera.labels()
    assert camera.prompts.ids() == [identity]
    assert at(labels, ELSEWHERE) == identity
    # A disc around each point: the union is larger.
    assert (labels == identity).sum() > size
    camera.pipeline.release()


def test_a_click_on_the_object_of_a_detector_refines_it(known_bundle):
    camera = Camera(known_bundle)
    camera.give("~/prompts", vision_msgs.Detection2DArray(detections=[detection(40, 40, 30, 30, name="cup")]))
    (identity,) = set(np.unique(camera.labels())) - {0}
    assert camera.click((40, 40)) == {"objects_refined": 1, "prompts_in": 1}
    assert set(np.unique(camera.labels())) == {0, identity}
    (found,) = camera.outputs["~/detections"].messages[-1].detections
    assert found.results[0].hypothesis.class_id == "cup"
    camera.pipeline.release()


def test_where_an_object_was_a_click_adds_a_new_one(known_bundle):
    """After a clear, and when the outputs are empty, nothing is shown that could be selected."""
    camera = Camera(known_bundle)
    camera.click(ELSEWHERE)
    camera.labels()
    camera.prompts.clear()
    assert camera.click(FIRST) == {"prompts_in": 1} and camera.prompts.ids() == [1], "the id is used again"
    assert camera.click(ELSEWHERE) == {"prompts_in": 1} and len(camera.prompts.ids()) == 2
    camera.labels()
    camera.pipeline.pause("a test")
    camera.pipeline.resume()
    assert camera.click((ELSEWHERE[0] + 3, ELSEWHERE[1])) == {"prompts_in": 1}
    camera.pipeline.release()


def test_a_double_click_adds_one_object(known_bundle):
    camera = Camera(known_bundle)
    camera.click(ELSEWHERE)
    camera.click((ELSEWHERE[0] + 1, ELSEWHERE[1]))
    assert len(camera.prompts.ids()) == 1
    camera.click((ELSEWHERE[0] - 60, ELSEWHERE[1]))
    assert len(camera.prompts.ids()) == 2
    camera.prompts.clear()
    camera.click(ELSEWHERE)
    assert len(camera.prompts.ids()) == 1
    camera.pipeline.release()


def test_a_click_of_prompt_mode_waits_in_everything_mode_and_keeps_its_id(known_bundle):
    camera = Camera(known_bundle)
    camera.click(ELSEWHERE)
    identity = at(camera.labels(), ELSEWHERE)
    camera.set_parameter("mode", "everything")
    labels = camera.labels()
    assert not at(labels, ELSEWHERE) and identity not in camera.ids()
    camera.click(FIRST)
    camera.labels()
    assert len(camera.prompts.ids()) == 2
    camera.set_parameter("mode", "prompt")
    labels = camera.labels()
    assert at(labels, ELSEWHERE) == identity and at(labels, FIRST) not in (0, identity)
    camera.pipeline.release()


def test_an_object_of_everything_mode_is_not_selected_in_prompt_mode(known_bundle):
    camera = Camera(known_bundle, mode="everything")
    camera.labels()
    camera.set_parameter("mode", "prompt")
    assert camera.click(FIRST) == {"prompts_in": 1}
    camera.pipeline.release()


def test_the_smallest_object_at_a_pixel_is_meant_as_in_the_label_map():
    logits = np.full((2, 32, 32), -1, np.float32)
    logits[0, 4:28, 4:28] = logits[1, 10:16, 10:16] = 1
    ids, scores = np.array([8, 9]), np.ones(2, np.float32)
    transform = Transform((64, 64), 64, 64, (32, 32))
    masks, shown = Masks(logits, scores, ids, transform), ShownObjects()
    assert shown.at(1.0, 1.0) is None
    shown.update(masks, {8: 1})
    labels = masks.label_map()
    for y in range(0, 64, 3):
        for x in range(0, 64, 3):
            found = shown.at(x + 0.5, y + 0.5)
            assert (found.identity if found else 0) == labels[y, x]
    assert shown.at(26.0, 26.0).born is None and shown.at(50.0, 50.0).born == 1
    shown.clear()
    assert shown.at(26.0, 26.0) is None


def test_many_clicks_keep_the_first_points_and_the_newest():
    logits = np.full((1, 32, 32), -1, np.float32)
    logits[0, 4:28, 4:28] = 1
    transform, shown = Transform((32, 32), 32, 32, (32, 32)), ShownObjects()
    prompt = Prompt(points=[(5.0, 5.0)])
    for click in range(20):
        masks = Masks(logits, np.ones(1, np.float32), np.ones(1, int), transform, (prompt,))
        shown.update(masks, {1: 1})
        prompt = shown.at(6.0 + click, 20.0).prompt
        assert len(prompt.points) == len(prompt.labels) == min(click + 2, MAX_CLICKS)
        assert prompt.points[0].tolist() == [5.0, 5.0] and prompt.points[-1].tolist() == [6.0 + click, 20.0]
