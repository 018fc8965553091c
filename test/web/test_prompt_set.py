# SPDX-License-Identifier: Apache-2.0
"""The page's objects: what is published again has moved as the objects have moved."""

import pytest

from evitsam_ros.web.commands import CommandError
from evitsam_ros.web.prompt_set import MAX_OBJECTS, MAX_POINTS, SETTLED, PromptSet

LATER = SETTLED + 0.1


def point(prompts: PromptSet, x: float, y: float, target: str = "", now: float = 0.0, **more) -> None:
    prompts.add_point(x, y, **{"is_foreground": True} | more, target=target, now=now)


def test_points_of_one_object_stay_together():
    prompts = PromptSet()
    point(prompts, 10, 20)
    point(prompts, 30, 40)
    point(prompts, 11, 21, "point 1", is_foreground=False)
    prompts.add_box((50, 60, 20, 10), 0.0)
    first, second, box = prompts.placed()
    assert (first.name, first.points, first.box) == ("point 1", ((10, 20, True), (11, 21, False)), None)
    assert (second.name, second.points) == ("point 2", ((30, 40, True),))
    assert (box.name, box.points, box.box) == ("box 3", (), (20, 10, 50, 60))


def test_prompts_move_as_the_box_of_their_object_does():
    """The box goes from (0, 0, 10, 20) to (100, 50, 120, 90): twice the size, around another centre."""
    prompts = PromptSet()
    point(prompts, 4, 5)
    prompts.observe({"point 1": (0, 0, 10, 20)}, LATER)
    assert prompts.placed()[0].points == ((4, 5, True),)
    prompts.observe({"point 1": (100, 50, 120, 90)}, LATER + 1)
    assert prompts.placed()[0].points == ((108, 60, True),)
    assert prompts.placed()[0].points == ((108, 60, True),)  # it does not add up
    point(prompts, 7, 7, "point 1", now=LATER + 2)
    prompts.observe({"point 1": (100, 50, 110, 90)}, LATER + 2.1)  # the new point has changed the mask
    prompts.observe({"point 1": (100, 50, 110, 90)}, 2 * LATER + 2)
    assert prompts.placed()[0].points == ((108, 60, True), (7, 7, True))


def test_boxes_move_and_a_lost_object_keeps_its_position():
    prompts = PromptSet()
    prompts.add_box((10, 10, 20, 20), 0.0)
    prompts.observe({"box 1": (10, 10, 20, 20)}, LATER)
    prompts.observe({"box 1": (15, 10, 25, 20)}, LATER + 1)
    prompts.observe({}, LATER + 2)
    assert prompts.placed()[0].box == (15, 10, 25, 20)


def test_a_stored_box_is_not_in_the_array_and_is_returned_when_it_changes():
    prompts = PromptSet()
    point(prompts, 1, 1)
    box = prompts.add_box((10, 20, 30, 40), 0.0, is_stored=True)
    assert (box.name, box.box) == ("box 2", (10, 20, 30, 40))
    assert [each.name for each in prompts.placed()] == ["point 1"] and prompts.names == ["point 1", "box 2"]
    assert prompts.is_stored("box 2") and not prompts.is_stored("point 1") and not prompts.is_stored("box 9")
    assert prompts.add_point(2, 2, is_foreground=True, target="point 1", now=0.0) is None
    prompts.observe({"box 2": (10, 20, 30, 40)}, LATER)
    prompts.observe({"box 2": (15, 20, 35, 40)}, LATER)
    changed = prompts.add_point(20, 30, is_foreground=False, target="box 2", now=LATER)
    assert (changed.box, changed.points) == ((15, 20, 35, 40), ((20, 30, False),))
    prompts.observe_names({"point 1"})  # an image between its removal and its return
    assert prompts.names == ["point 1", "box 2"]


def test_names_that_the_segmenter_has_are_not_given_again():
    prompts = PromptSet()
    prompts.observe_names({"background", "box 1", "box 2"})
    assert prompts.add_box((1, 1, 9, 9), 0.0, is_stored=True).name == "box 3"


def test_objects_removed_elsewhere_are_not_published_again():
    prompts = PromptSet()
    point(prompts, 1, 1)
    prompts.observe_names({"background"})  # of an image before the click
    assert prompts.names == ["point 1"]
    prompts.observe_names({"background", "point 1"})
    prompts.observe_names({"background"})
    assert prompts.names == [] == prompts.placed()
    prompts.observe_names({"point 1"})  # everything mode has shown other names in between
    assert prompts.names == ["point 1"]
    prompts.observe_names(set())
    with pytest.raises(CommandError, match="point 1 was not prompted"):
        point(prompts, 2, 2, "point 1")
    point(prompts, 2, 2)
    assert [each.name for each in prompts.placed()] == ["point 2"]


def test_remove_and_clear():
    prompts = PromptSet()
    for _ in range(3):
        point(prompts, 1, 1)
    prompts.remove("point 2")
    prompts.remove("of somebody else")
    assert prompts.names == ["point 1", "point 3"]
    prompts.clear()
    assert prompts.names == []


def test_limits_and_invalid_values():
    prompts = PromptSet()
    with pytest.raises(CommandError, match="choose one from the list"):
        point(prompts, 1, 1, is_foreground=False)
    for box in ((5, 5, 5.5, 9), (5, 5, 9, 5)):
        with pytest.raises(CommandError, match="1 x 1 or more"):
            prompts.add_box(box, 0.0)
    for _ in range(MAX_OBJECTS):
        point(prompts, 1, 1)
    with pytest.raises(CommandError, match=f"{MAX_OBJECTS} objects"):
        point(prompts, 1, 1)
    for _ in range(MAX_POINTS - 1):
        point(prompts, 1, 1, "point 1")
    with pytest.raises(CommandError, match=f"{MAX_POINTS} points"):
        point(prompts, 1, 1, "point 1")
    assert len(prompts.placed()) == MAX_OBJECTS
