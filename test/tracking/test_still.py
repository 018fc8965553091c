# SPDX-License-Identifier: Apache-2.0
"""The shipped weights on a real image: what was clicked stays what it was, or is lost."""

import cv2
import numpy as np
from skimage import data

from evitsam_ros.segment import Frame, Prompt, Segmenter
from evitsam_ros.tracking import TrackedCamera


def test_a_click_keeps_its_object_in_a_static_scene(photograph):
    camera = TrackedCamera(Segmenter.open("lite_sam"))
    height, width = photograph.shape[:2]
    prompts = {
        1: Prompt(points=[(0.44 * width, 0.29 * height)]),
        2: Prompt(box=(0.2 * width, 0, width, height)),
    }
    first = {}
    for _ in range(12):
        masks = camera.prompted(Frame(photograph), prompts)
        answers = dict(zip(masks.object_ids.tolist(), masks.full(), strict=True))
        assert list(answers) == [1, 2] and not camera.prompt_tracker.lost
        first = first or answers
        for identity, mask in answers.items():
            assert (
                np.logical_and(mask, first[identity]).sum()
                > 0.95 * np.logical_or(mask, first[identity]).sum()
            )


def test_followed_objects_are_found_again_on_images_of_another_resolution(photograph):
    camera = TrackedCamera(Segmenter.open("lite_sam"))
    side = len(photograph)
    prompts = {1: Prompt(points=[(0.44 * side, 0.29 * side)]), 2: Prompt(box=(0.2 * side, 0, side, side))}
    first = camera.prompted(Frame(photograph), prompts).full()
    small = cv2.resize(photograph, (side // 2, side // 2), interpolation=cv2.INTER_AREA)
    for image in (small, photograph):
        masks = camera.prompted(Frame(image), prompts)
        assert masks.object_ids.tolist() == [1, 2]
        for mask, before in zip(masks.full(), first, strict=True):
            full = cv2.resize(mask.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST) > 0
            assert (full & before).sum() > 0.6 * (full | before).sum()


def test_an_object_that_leaves_quickly_is_lost_and_not_found_on_the_background(photograph):
    """Its place is taken by a background of which the decoder is just as sure."""
    wall = cv2.resize(data.chelsea(), (320, 240))
    head = cv2.resize(photograph[0:260, 140:330], (90, 120))
    camera, prompts = TrackedCamera(Segmenter.open("lite_sam")), {1: Prompt(box=(115, 60, 205, 180))}
    answered = []
    for x in (115, 85, 55, 25, -5, -35, -65, -95, -125, -155):
        frame, left = wall.copy(), max(x, 0)
        if x > -90:
            frame[60:180, left : x + 90] = head[:, left - x :]
        answered.append(camera.prompted(Frame(frame), prompts).object_ids.tolist())
    assert answered[:2] == [[1], [1]] and not any(answered[7:]) and camera.prompt_tracker.lost == [1]
