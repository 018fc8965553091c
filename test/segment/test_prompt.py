# SPDX-License-Identifier: Apache-2.0
"""Prompts that cannot be meant are refused with the value that is wrong."""

import numpy as np
import pytest

from evitsam_ros.segment import Frame, Prompt, PromptError
from evitsam_ros.segment.prompt import MAX_PROMPTS, check_prompts

NAN, INF = float("nan"), float("inf")
BAD = [
    ({}, "the prompt is empty"),
    ({"points": []}, r"points have shape \(0,\)"),
    ({"points": [(1, 2, 3)]}, r"points have shape \(1, 3\); expected \(N, 2\)"),
    ({"points": [(NAN, 2)]}, "points hold NaN"),
    ({"points": [(1, INF)]}, "points hold NaN or infinity"),
    ({"points": [("a", 2)]}, "points are not numbers"),
    ({"points": [(1, 2)], "labels": [1, 0]}, "2 labels for 1 points"),
    ({"points": [(1, 2)], "labels": [2]}, "expected 1 .foreground. or 0 .background."),
    ({"points": [(1, 2)], "labels": [0.7]}, "expected 1 .foreground. or 0 .background."),
    ({"points": [(1, 2)], "labels": [-1]}, "expected 1 .foreground. or 0 .background."),
    ({"points": [(1, 2)], "labels": [NAN]}, "labels hold NaN"),
    ({"points": [(1, 2), (3, 4)], "labels": [0, 0]}, "all points are background"),
    ({"points": [(1e39, 2)]}, "points hold NaN or infinity"),
    ({"points": [(1, 2)] * 65}, "65 points for one object"),
    ({"box": (1, 2, 3)}, "box has shape"),
    ({"box": (10, 2, 3, 8)}, "is empty; expected x1 > x0"),
    ({"box": (1, 2, NAN, 8)}, "box hold NaN"),
    ({"mask": np.zeros((2, 3, 4))}, "expected low-res logits"),
    ({"box": (1, 2, 3, 4), "object_id": 0}, "object_id is 0"),
    ({"box": (1, 2, 3, 4), "object_id": 70000}, "object_id is 70000"),
]


@pytest.mark.parametrize(("arguments", "text"), BAD)
def test_impossible_prompt_is_refused_with_its_value(arguments, text):
    with pytest.raises(PromptError, match=text):
        Prompt(**arguments)


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        (Prompt(points=[(650, 10)]), r"prompt 1: point \(650, 10\) is outside the image of 640x480"),
        (Prompt(points=[(-1, 10)]), r"prompt 1: point \(-1, 10\) is outside"),
        (Prompt(box=(700, 10, 900, 50)), r"prompt 1: box \(700, 10, 900, 50\) is outside"),
    ],
)
def test_prompt_outside_the_image_is_named_by_its_index(prompt, text):
    with pytest.raises(PromptError, match=text):
        check_prompts([Prompt(points=[(1, 1)]), prompt], (480, 640))


@pytest.mark.parametrize("more", [{"box": (1, 2, 3, 4)}, {"mask": np.zeros((4, 4))}], ids=["box", "mask"])
def test_background_points_refine_a_box_or_a_mask(more):
    assert Prompt(points=[(2, 3)], labels=[0], **more).labels.tolist() == [0]


def test_the_edges_belong_to_the_image():
    prompt = Prompt(points=[(0, 0), (640, 480), (640.5, 1), (1, -0.5)])
    assert prompt.inside((480, 640)).tolist() == [True, True, False, False]
    assert check_prompts([Prompt(points=[(640, 480)])], (480, 640))


def test_box_that_sticks_out_is_cut():
    (cut,) = check_prompts([Prompt(box=(-20, 400, 100, 600))], (480, 640))
    assert cut.box.tolist() == [0, 400, 100, 480]


def test_too_many_prompts_are_refused():
    with pytest.raises(PromptError, match="1025 prompts at once; expected at most 1024"):
        check_prompts([Prompt(points=[(1, 1)])] * (MAX_PROMPTS + 1), (10, 10))


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (np.zeros((4, 5, 3), np.float32), "image is float32; expected a uint8 array"),
        (np.zeros((4, 5), np.uint8), r"shape \(4, 5\); expected \(H, W, 3\)"),
        (np.zeros((0, 5, 3), np.uint8), r"shape \(0, 5, 3\)"),
        ([[1, 2, 3]], "image is list"),
    ],
)
def test_frame_rejects_arrays_that_are_not_images(image, text):
    with pytest.raises(ValueError, match=text):
        Frame(image)


def test_loose_input_is_parsed_to_arrays():
    prompt = Prompt.parse(points=[(1, 2), (3, 4)], labels=(1, 0), box=[5, 6, 7, 8], object_id=3)
    for array, shape in ((prompt.points, (2, 2)), (prompt.labels, (2,)), (prompt.box, (4,))):
        assert isinstance(array, np.ndarray) and array.dtype == np.float32 and array.shape == shape
    assert prompt.object_id == 3 and prompt.mask is None
    assert Prompt.parse(points=[(1, 2)]).labels.tolist() == [1]
    assert Prompt.parse(box=(1, 2, 3, 4)).points.shape == (0, 2)
    assert Prompt.parse(mask=np.zeros((4, 4))).mask.dtype == np.float32
    with pytest.raises(PromptError, match="box are not numbers: 'left'"):
        Prompt.parse(box="left")
    with pytest.raises(PromptError, match="the prompt is empty"):
        Prompt.parse()


def test_the_constructor_parses_too_as_it_always_has():
    loose = Prompt(points=[(1, 2)], labels=[1], box=(0, 1, 3, 4))
    parsed = Prompt.parse(points=[(1, 2)], labels=[1], box=(0, 1, 3, 4))
    for name in ("points", "labels", "box"):
        np.testing.assert_array_equal(getattr(loose, name), getattr(parsed, name))
    assert Prompt(None, None, (0, 1, 3, 4)).labels.shape == (0,)


def test_the_old_name_of_a_proposals_box_warns():
    with pytest.warns(DeprecationWarning, match=r"guess=….* use proposal_box"):
        prompt = Prompt(points=[(1, 2)], guess=(0, 1, 3, 4))
    assert prompt.proposal_box.tolist() == [0, 1, 3, 4]
    with pytest.warns(DeprecationWarning, match=r"Prompt\.guess"):
        assert prompt.guess is prompt.proposal_box
    with pytest.raises(TypeError, match="both 'proposal_box' and 'guess'"):
        Prompt(points=[(1, 2)], guess=(0, 1, 3, 4), proposal_box=(0, 1, 3, 4))
