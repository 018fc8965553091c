# SPDX-License-Identifier: Apache-2.0
"""Ids of detections that are numbers are passed on where they are free."""

import pytest

from evitsam_ros.nodes.object_ids import ObjectIds
from evitsam_ros.nodes.prompt_messages import ObjectPrompt
from evitsam_ros.segment import Prompt


def objects(*names: str) -> list[ObjectPrompt]:
    return [
        ObjectPrompt(Prompt.parse(box=(10 * i, 0, 10 * i + 5, 5)), sender_id=name)
        for i, name in enumerate(names)
    ]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("17", "3"), [17, 3]),
        (("a", "17"), [1, 17]),
        (("1", "a"), [1, 2]),
        (("65535", "65536", "0", "-4"), [65535, 1, 2, 3]),
        (("007", "7", "\u0667"), [1, 7, 2]),
    ],
)
def test_numbers_from_1_to_65535_are_the_ids(names, expected):
    assert ObjectIds().of_array(objects(*names), [], set(), set()) == expected


def test_a_number_in_use_is_replaced_by_a_free_one_for_good():
    ids = ObjectIds()
    assert ids.of_array(objects("4"), [], {4}, {4}) == [1]
    assert ids.of_array(objects("4"), [], set(), set()) == [1]


def test_several_new_clicks_have_different_ids():
    assert ObjectIds().of_clicks(3, {1, 3}) == [2, 4, 5]
