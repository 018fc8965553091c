# SPDX-License-Identifier: Apache-2.0
"""Prompts without a stamp, cleared, removed and kept.

The rules are in ``docs/event_order.md``.
"""

import pytest

from .event_session import A, B, C, boxed, row


@row("plain prompt, plain prompt")
@pytest.mark.parametrize("ids", [("a", "b"), ("", "")])
def test_objects_keep_their_label_values_in_another_order(node, ids):
    cup, dog = boxed(A, ids[0], "cup"), boxed(B, ids[1], "dog")
    other = boxed(C, "c" if ids[0] else "", "dog")

    def values(*array) -> list[int]:
        """The label values at A, B and C."""
        node.array(0, *array)
        return node.labels_at(node.image(), A, B, C)

    first, second, empty = values(cup, dog)
    assert first and second and not empty
    assert values(dog, cup) == [first, second, 0]
    assert values(dog) == [0, second, 0]
    again, same, new = values(other, dog, cup)
    assert same == second and len({again, same, new}) == 3
    assert again == first or not ids[0], "the detector's id is remembered"
    node.click((10, 80))
    assert node.labels_at(node.image(), A, B, C) == [again, same, new]


@row("plain prompt, clear", "plain prompt, remove", "clear, clear", "clear, remove", "remove, remove")
def test_clear_and_remove_of_plain_prompts(node):
    node.array(0, boxed(A, "a"), boxed(B, "b"))
    stamp = node.image()
    (identity,) = node.labels_at(stamp, A)
    node.remove(identity)
    assert node.next_answer() == {B}
    node.remove(identity, known=False)
    assert f"no prompted object has id {identity}; there are: " in node.robot.diagnostics["last_error"]
    node.array(0, boxed(A, "a"), boxed(B, "b"))
    stamp = node.image()
    assert node.labels_at(stamp, A) == [identity] and node.next_answer() == {A, B}
    assert node.clear() == "2 prompts cleared" and node.clear() == "0 prompts cleared"
    node.remove(identity, known=False)
    assert "there are: none" in node.robot.diagnostics["last_error"]
    assert node.next_answer() == set()


@row("plain prompt, pause", "plain prompt, resume", "pause, parameter")
def test_plain_prompts_and_parameters_of_a_pause_count_after_it(node):
    node.click(A)
    assert node.next_answer() == {A}
    node.enable(False)
    node.click(B)
    node.parameter("enable_tracking", False)
    node.enable(True)
    assert node.next_answer() == {A, B}


@row("plain prompt, parameter", "clear, parameter", "remove, parameter")
def test_plain_prompts_are_kept_in_everything_mode(node):
    node.array(0, boxed(A), boxed(C))
    stamp = node.image()
    (identity,) = node.labels_at(stamp, C)
    node.parameter("mode", "everything")
    node.answer(node.image())
    node.remove(identity)
    node.parameter("mode", "prompt")
    assert node.next_answer() == {A}
    for track in (False, True):
        node.parameter("enable_tracking", track)
        assert node.next_answer() == {A}
    node.parameter("mode", "everything")
    node.clear()
    node.parameter("mode", "prompt")
    assert node.next_answer() == set()


@row("clear, pause", "clear, resume", "remove, pause", "remove, resume")
def test_clear_and_remove_take_effect_in_a_pause(node):
    node.array(0, boxed(A), boxed(B))
    stamp = node.image()
    (identity,) = node.labels_at(stamp, A)
    node.enable(False)
    node.remove(identity)
    node.enable(True)
    assert node.next_answer() == {B}
    node.enable(False)
    assert node.clear() == "1 prompts cleared"
    node.enable(True)
    assert node.next_answer() == set()
