# SPDX-License-Identifier: Apache-2.0
"""Prompts with the stamp of an image, and what happens while they wait.

The rules are in ``docs/event_order.md``.
"""

import pytest

from .event_session import A, B, C, boxed, row


@row("stamped prompt, stamped prompt", "stamped prompt, slow inference")
def test_clicks_wait_for_their_turn_and_of_arrays_the_newest(node):
    node.click(A)
    first = node.in_work()
    second = node.image()
    node.array(second, boxed(B))
    node.click(C, second)
    node.array(first, boxed(B, "b"))  # newer, of an earlier image
    node.gate.open()
    node.answer(first, (A, B, C))
    assert {A, B} not in node.answers(second) and {A, C} in node.answers(second)


def test_arrays_that_wait_for_images_are_answered_on_them_in_their_order(node):
    first, second = node.robot.stamp + 1, node.robot.stamp + 2
    node.array(first, boxed(A))
    node.array(second, boxed(B))
    assert node.image() == first
    node.answer(first, (A,))
    assert node.image() == second
    node.answer(second, (B,))


def test_an_array_for_an_earlier_image_makes_the_one_before_void(node):
    first, second = node.robot.stamp + 1, node.robot.stamp + 2
    node.array(second, boxed(B))
    node.array(first, boxed(A))
    assert node.image() == first
    node.answer(first, (A,))
    assert node.image() == second
    node.answer(second)
    assert node.next_answer() == {A} and {B} not in node.answers(second)


@row("stamped prompt, plain prompt")
def test_a_newer_plain_array_makes_the_stamped_one_void(node):
    to_come = node.robot.stamp + 1
    node.array(to_come, boxed(A))
    node.array(0, boxed(B))
    assert node.image() == to_come
    assert node.next_answer() == {B} and node.answers(to_come) == [{B}]


def test_a_stamped_array_in_process_is_answered_and_does_not_replace_a_newer_one(node):
    node.click(C)
    kept = node.image()
    node.answer(kept)
    node.gate.close()
    node.array(kept, boxed(A))
    node.until(lambda: node.gate.in_work)
    node.array(0, boxed(B))
    node.gate.open()
    node.answer(kept, (A, C))
    assert node.next_answer() == {B, C}


@pytest.mark.parametrize("track", [True, False])
def test_a_plain_array_persists_until_a_stamped_one_was_answered(node, track):
    node.parameter("enable_tracking", track)
    node.array(0, boxed(A))
    to_come = node.robot.stamp + 2
    node.array(to_come, boxed(B))
    assert node.next_answer() == {A}
    assert node.image() == to_come
    node.answer(to_come, (B,))
    node.click(C)
    assert node.next_answer() == ({B, C} if track else {C})


@row("stamped prompt, clear")
@pytest.mark.parametrize("where", ["waits for its image", "waits for its turn", "in work"])
def test_clear_makes_a_stamped_prompt_void_wherever_it_waits(node, where):
    if where == "waits for its image":
        stamp = node.robot.stamp + 1
        node.array(stamp, boxed(A))
        assert node.clear() == "1 prompts cleared"
        assert node.image() == stamp
    else:
        stamp = node.image()
        node.answer(stamp)
        if where == "waits for its turn":
            node.click(B)
            node.in_work()
            node.array(stamp, boxed(A))
            node.click(C, stamp)
        else:
            node.gate.close()
            node.array(stamp, boxed(A))
            node.until(lambda: node.gate.in_work)
        assert node.clear() == f"{3 if where == 'waits for its turn' else 1} prompts cleared"
        node.gate.open()
    assert node.next_answer() == set()
    assert all(shows == set() for shows in node.answers(stamp))


@row("stamped prompt, remove")
@pytest.mark.parametrize("where", ["waits for its image", "waits for its turn", "in work"])
def test_remove_drops_an_object_of_a_stamped_prompt_in_any_state(node, where):
    both = boxed(A, "a"), boxed(B, "b")
    node.array(0, *both)
    seen = node.image()
    node.answer(seen, (A, B))
    (identity,) = node.labels_at(seen, A)
    if where == "waits for its image":
        stamp = node.robot.stamp + 1
        node.array(stamp, *both)
        node.remove(identity)
        assert node.image() == stamp
    else:
        stamp = seen
        if where == "waits for its turn":
            node.in_work()
            node.array(stamp, *both)
        else:
            node.gate.close()
            node.array(stamp, *both)
            node.until(lambda: node.gate.in_work)
        node.remove(identity)
        node.gate.open()
    node.answer(stamp, (B,))
    assert node.next_answer() == {B}


@row("stamped prompt, pause", "stamped prompt, resume")
def test_a_pause_drops_stamped_prompts_and_reports_it(node):
    to_come = node.robot.stamp + 1
    node.array(to_come, boxed(A))
    node.counted("prompts_dropped", lambda: node.enable(False))
    assert (
        f"image of {to_come}.000 s are dropped: the node is disabled" in node.robot.diagnostics["last_error"]
    )
    node.counted("prompts_dropped", lambda: node.array(to_come, boxed(A)))
    node.click(C, to_come)
    node.enable(True)
    assert node.image() == to_come
    node.answer(to_come, (C,))
    assert node.next_answer() == {C} and {A, C} not in node.answers(to_come)


@row("stamped prompt, parameter")
def test_stamped_prompts_in_everything_mode_and_without_tracking(node):
    to_come = node.robot.stamp + 1
    node.array(to_come, boxed(A))
    node.parameter("mode", "everything")
    node.counted("prompts_dropped", node.image)
    kept = node.robot.stamp
    node.counted("prompts_not_used", lambda: node.array(kept, boxed(A)))
    node.click(C, kept)
    node.parameter("mode", "prompt")
    assert node.next_answer() == {C}
    node.array(node.robot.stamp, boxed(B))
    node.until(lambda: {B, C} in node.answers(node.robot.stamp))
    assert node.next_answer() == {B, C}
    node.parameter("enable_tracking", False)
    assert node.next_answer() == {C}
    node.parameter("enable_tracking", True)
    assert node.next_answer() == {C}


def test_without_tracking_label_maps_are_empty_after_the_detector(node):
    node.parameter("enable_tracking", False)
    stamp = node.image()
    node.array(stamp, boxed(A))
    node.answer(stamp, (A,))
    node.counted("frames_not_asked_about", node.image)
    node.clear()
    assert node.next_answer() == set()
    stamp = node.image()
    node.array(stamp, boxed(A))
    node.answer(stamp, (A,))
    node.until(lambda: bool(node.answers(node.image())))  # the detector has stopped
