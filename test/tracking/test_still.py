# SPDX-License-Identifier: Apache-2.0
"""The shipped weights on a picture that stands still: what was clicked stays what it was."""

import numpy as np

from evitsam_ros.segment import Frame, Prompt, Segmenter
from evitsam_ros.tracking import TrackedCamera


def test_a_click_keeps_its_object_while_nothing_moves(photograph):
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
        assert list(answers) == [1, 2] and not camera.follower.lost
        first = first or answers
        for identity, mask in answers.items():
            assert (
                np.logical_and(mask, first[identity]).sum()
                > 0.95 * np.logical_or(mask, first[identity]).sum()
            )
