# SPDX-License-Identifier: Apache-2.0
"""Prompt updates are data: two of them can be compared and logged."""

from dataclasses import replace

import numpy as np
import pytest

from evitsam_ros.nodes.prompt_messages import ObjectPrompt
from evitsam_ros.nodes.prompt_store import PromptStore
from evitsam_ros.nodes.prompt_updates import PendingPrompt, PromptUpdate, StoredPrompt
from evitsam_ros.segment import Prompt


def box(x: float, name: str = "", **others) -> ObjectPrompt:
    return ObjectPrompt(Prompt(box=(x, 0, x + 10, 10), **others), name)


def pending(stamp: int, *objects: ObjectPrompt) -> list[PendingPrompt]:
    """What a store holds after an array with a stamp."""
    store = PromptStore(max_clicks=4)
    store.await_image(store.new_update("~/prompts", objects, is_array=True, stamp=stamp), 1.0)
    return store.without_image()


def test_equal_messages_give_equal_updates_and_any_difference_shows():
    same = pending(3, box(1, "cup"), box(40))
    assert same == pending(3, box(1, "cup"), box(40))
    for other in (pending(4, box(1, "cup"), box(40)), pending(3, box(1, "cup")), pending(3, box(1), box(40))):
        assert same != other
    assert same != pending(3, box(2, "cup"), box(40)), "only a coordinate differs"
    assert same != [replace(same[0], has_image=True)]


@pytest.mark.parametrize("field", ["points", "labels", "box", "mask"])
def test_objects_compare_every_part_of_their_prompts(field):
    values = {
        "points": np.array([[1.0, 2.0]]),
        "labels": np.array([1.0]),
        "box": np.array([0.0, 0.0, 9.0, 9.0]),
        "mask": np.zeros((4, 4), np.float32),
    }
    one = StoredPrompt(1, Prompt(**values))
    assert one == StoredPrompt(1, Prompt(**{name: value.copy() for name, value in values.items()}))
    assert hash(one) == hash(StoredPrompt(1, Prompt(**values)))
    changed = values | {field: values[field] + 1} if field != "labels" else values | {"labels": [0.0]}
    assert one != StoredPrompt(1, Prompt(**changed)) and one != StoredPrompt(2, Prompt(**values))


def test_updates_can_be_logged():
    (item,) = pending(1_500_000_000, box(1, "cup"))
    assert str(item) == ("update 1 of ~/prompts for the image of 1.500 s: 1 (cup); waits for its image")
    assert str(PromptUpdate(2, "~/pixel", False, ())) == "update 2 of ~/pixel for the next image: no objects"
