# SPDX-License-Identifier: Apache-2.0
"""Windows hold their boxes; masks of windows land where they belong; small boxes give the decoder's masks."""

import numpy as np
import pytest

from evitsam_ros.segment import Prompt, Segmenter
from evitsam_ros.segment.regions import (
    OUTSIDE,
    SIDES,
    cells_of,
    cut_off,
    place_masks,
    windows_for,
    windows_of,
)
from evitsam_ros.segment.segmenter import prompt_arrays
from evitsam_ros.segment.transform import Transform

WIDE = Transform((480, 640), 640, 640, (160, 160))


def boxed(*box: float) -> Prompt:
    x0, y0, x1, y1 = box
    return Prompt(points=[((x0 + x1) / 2, (y0 + y1) / 2)], labels=[1], box=box)


def test_the_smallest_window_that_holds_the_box_is_taken():
    """A cell is 16 pixels here; a margin is a quarter of the box's side, at least a cell, on either side."""
    for cells, side in ((3, 8), (6, 12), (8, 12), (10, 16), (14, 24), (18, 32), (24, 0)):
        windows = windows_for([boxed(160, 96, 160 + 16 * cells, 128)], WIDE)
        assert windows[0, 2] == side, cells


def test_windows_hold_their_boxes_and_stay_in_the_embedding():
    rng = np.random.default_rng(0)
    for _ in range(200):
        low = rng.uniform((0, 0), (600, 440))
        high = np.minimum(low + rng.uniform(4, 200, 2), (640, 480))
        top, left, side = windows_for([boxed(*low, *high)], WIDE)[0]
        assert side in SIDES and top >= 0 and left >= 0 and top + side <= 40 and left + side <= 40
        assert left * 16 <= low[0] and top * 16 <= low[1]
        assert (left + side) * 16 >= high[0] and (top + side) * 16 >= high[1]


def test_what_needs_the_whole_image_gets_it():
    small = (100, 100, 130, 130)
    prompts = [
        Prompt(points=[(5, 5)]),
        Prompt(box=small),
        Prompt(points=[(110, 110)], box=small, mask=np.zeros((160, 160), np.float32)),
        boxed(*small),
    ]
    assert windows_for(prompts, WIDE)[:, 2].tolist() == [0, 0, 0, 8]


def test_guesses_get_wide_windows_that_hold_the_point():
    """Three times the guess's side, at least 16 cells: it may be of a part of the object."""
    for cells, side in ((1, 16), (4, 16), (6, 24), (9, 32), (12, 0)):
        low = np.array([320.0, 240.0])
        prompt = Prompt(points=[low + 8], guess=np.concatenate([low, low + 16 * cells]))
        top, left, found = windows_for([prompt], WIDE)[0]
        assert found == side, cells
        assert not side or (left * 16 <= 328 <= (left + side) * 16 and top * 16 <= 248 <= (top + side) * 16)


def test_a_guess_is_not_told_to_the_decoder():
    plain, guess = Prompt(points=[(50, 60)]), Prompt(points=[(50, 60)], guess=(40, 50, 70, 80))
    for one, other in zip(prompt_arrays([plain], WIDE), prompt_arrays([guess], WIDE), strict=True):
        np.testing.assert_array_equal(one, other)


def test_masks_return_to_the_cells_that_they_come_from():
    """Every low-res logit says where it is; the order within a cell is the upscaling's: y, x, then y, x."""
    windows = windows_of(np.array([[160, 96, 200, 128], [600, 440, 640, 480]], np.float32), WIDE, 8)
    cells = cells_of(windows, WIDE)
    rows, columns = np.divmod(cells, 40)
    y1, x1, y2, x2 = np.unravel_index(np.arange(16), (2, 2, 2, 2))
    y = rows[..., None] * 4 + 2 * y1 + y2
    x = columns[..., None] * 4 + 2 * x1 + x2
    placed = place_masks((y * 160 + x).reshape(2, -1).astype(np.float32), windows, WIDE)
    inside = placed > OUTSIDE
    assert inside.sum() == 2 * (4 * 8) ** 2
    assert (placed[inside] == np.tile(np.arange(160 * 160), 2).reshape(2, 160, 160)[inside]).all()


def test_masks_that_go_on_beyond_their_window_are_known():
    windows = np.array([[8, 8, 16], [8, 8, 16], [8, 8, 16], [0, 0, 16], [14, 24, 16], [0, 0, 0]])
    masks = np.full((6, 160, 160), -1.0, np.float32)
    masks[0, 40:60, 40:96] = 1  # along the right edge of its window
    masks[1, 40:60, 40:80] = 1  # within
    masks[2, 40:48, 40:96] = 1  # touches with two cells
    masks[3, 0:40, 0:40] = 1  # along the edge of the picture
    masks[4, 80:120, 100:160] = 1  # the same, where the padding begins, and on the right
    masks[5] = 1  # the whole image is no window
    assert cut_off(masks, windows, WIDE).tolist() == [True, False, False, False, False, False]


@pytest.mark.parametrize("multimask", [False, True])
def test_low_scores_are_left_out_and_nothing_else(photograph, multimask):
    segmenter = Segmenter.open("lite_sam")
    embedding = segmenter.embed(photograph)
    prompts = [boxed(180, 20, 280, 160), Prompt(points=[(220, 90)]), boxed(385, 250, 445, 330)]
    prompts += segmenter.propose(embedding, 32)
    everything = segmenter.decode(embedding, prompts, multimask, regions=True)
    least = float(np.median(everything.scores))
    good = segmenter.decode(embedding, prompts, multimask, regions=True, least_score=least)
    expected = everything.select(everything.scores >= least)
    assert len(everything) == len(prompts) * (3 if multimask else 1) > len(good) > 0
    np.testing.assert_array_equal(good.logits, expected.logits)
    np.testing.assert_array_equal(good.scores, expected.scores)
    np.testing.assert_array_equal(good.object_ids, expected.object_ids)
    assert [id(p) for p in good.prompts] == [id(p) for p in expected.prompts]


@pytest.mark.parametrize("multimask", [False, True])
def test_masks_of_small_boxes_are_nearly_the_decoders(photograph, multimask):
    segmenter = Segmenter.open("lite_sam")
    embedding = segmenter.embed(photograph)
    prompts = [
        boxed(180, 20, 280, 160),  # the face
        boxed(385, 250, 445, 330),  # in the model of the orbiter
        Prompt(points=[(220, 90)]),
        boxed(0, 0, 512, 512),
    ]
    whole = segmenter.decode(embedding, prompts, multimask)
    near = segmenter.decode(embedding, prompts, multimask, regions=True)
    same = np.repeat([False, False, True, True], 3 if multimask else 1)
    # Two at once or four: the products round differently.
    np.testing.assert_allclose(near.logits[same], whole.logits[same], atol=1e-4)
    a, b = near.logits[~same] > 0, whole.logits[~same] > 0
    iou = (a & b).sum((1, 2)) / (a | b).sum((1, 2))
    assert not (near.logits[~same] == whole.logits[~same]).all()
    # An approximation, whose price in recall is in the README.
    assert iou.min() > 0.75 and iou.mean() > 0.84
    np.testing.assert_allclose(near.scores, whole.scores, atol=0.1)
