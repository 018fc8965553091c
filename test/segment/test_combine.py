# SPDX-License-Identifier: Apache-2.0
"""Prompted masks beside those of everything mode, against sets of pixels."""

import numpy as np

from evitsam_ros.segment import Masks, Prompt
from evitsam_ros.segment.combine import SAME_OBJECT, beside, with_other_ids
from evitsam_ros.segment.transform import Transform

TRANSFORM = Transform((32, 32), 32, 32, (32, 32))


def masks(*parts: tuple[int, slice, slice]) -> Masks:
    logits = np.full((len(parts), 32, 32), -1, np.float32)
    for index, (_, rows, columns) in enumerate(parts):
        logits[index, rows, columns] = 1
    prompts = tuple(Prompt(points=[(1.0, 1.0)]) for _ in parts)
    ids = np.array([identity for identity, _, _ in parts], int)
    scores = np.arange(len(parts), dtype=np.float32)
    return Masks(logits, scores, ids, TRANSFORM, prompts, np.zeros(len(parts), int), {"decode": 1.0})


def test_a_mask_of_the_prompted_object_is_dropped_and_others_keep_their_ids():
    prompted = masks((3, slice(0, 10), slice(0, 10)))
    same = (5, slice(0, 10), slice(0, 14))  # IoU 100 / 140
    part = (6, slice(0, 4), slice(0, 4))  # IoU 16 / 100
    far = (7, slice(20, 30), slice(20, 30))
    assert 100 / 140 > SAME_OBJECT > 16 / 100
    found = beside(prompted, masks(same, part, far))
    assert found.object_ids.tolist() == [3, 6, 7] and len(found.prompts) == 3
    assert (found.full()[0] == prompted.full()[0]).all() and found.timings == {"decode": 2.0}


def test_no_two_masks_have_one_id():
    prompted = masks((1, slice(0, 5), slice(0, 5)), (2, slice(8, 12), slice(0, 5)))
    others = masks(*((n, slice(4 * n, 4 * n + 3), slice(20, 30)) for n in (1, 2, 3, 4)))
    renamed = with_other_ids(others, [1, 2, 6])
    assert renamed.object_ids.tolist() == [5, 7, 3, 4] and (renamed.logits == others.logits).all()
    ids = beside(prompted, renamed).object_ids.tolist()
    assert ids == [1, 2, 5, 7, 3, 4]


def test_either_kind_may_be_missing():
    some = masks((4, slice(0, 5), slice(0, 5)))
    assert beside(masks(), some).object_ids.tolist() == [4]
    assert beside(some, masks()).object_ids.tolist() == [4]
    assert len(beside(masks(), masks())) == 0
