# SPDX-License-Identifier: Apache-2.0
"""An image, and what happens while it waits or is in work.

The rules are in ``docs/event_order.md``.
"""

import pytest

from .event_session import ACTIVATE, DEACTIVATE, A, B, Session, boxed, row, shown
from .gated_segmenter import Gate
from .harness import change_state


@row("image, image", "image, slow inference", "slow inference, slow inference")
def test_the_newest_image_waits_for_the_one_in_work(node):
    node.click(A)
    first = node.in_work()
    dropped = node.robot.count("frames_dropped")
    second, third = node.image(), node.image()
    node.gate.open()
    node.answer(third)
    assert node.answers(first) == [{A}] and node.answers(second) == []
    node.until(lambda: node.robot.count("frames_dropped") == dropped + 1)


@row("image, stamped prompt")
def test_a_kept_image_is_answered_again_and_an_array_waits_for_its_image(node):
    kept = node.image()
    node.answer(kept)
    node.array(kept, boxed(A))
    node.answer(kept, (A,))
    to_come = node.robot.stamp + 1
    node.array(to_come, boxed(B))
    assert node.image() == to_come
    node.answer(to_come, (B,))
    assert {A} not in node.answers(to_come)


def test_the_nearest_image_is_taken_when_the_exact_one_was_passed_by(node):
    node.parameter("missing_image_policy", "nearest")
    node.image()
    exact = node.robot.stamp + 1
    node.array(exact, boxed(A))
    assert node.image() == exact
    node.answer(exact, (A,))
    node.array(exact + 1, boxed(B))
    node.robot.stamp += 1  # that one is never sent
    later = node.image()
    node.until(lambda: {B} in node.answers(exact) + node.answers(later))


@row("image, plain prompt", "plain prompt, slow inference")
def test_a_plain_prompt_applies_from_the_next_processed_image(node):
    node.click(A)
    first = node.in_work()
    waits = node.image()
    node.click(B)
    node.gate.open()
    node.answer(waits, (A, B))
    assert node.answers(first) == [{A}]


@row("image, clear", "clear, slow inference")
def test_cleared_prompts_are_on_no_image_that_is_in_work_or_waits(node):
    node.click(A)
    first = node.in_work()
    waits = node.image()
    assert node.clear() == "1 prompts cleared"
    node.gate.open()
    node.answer(waits)
    assert node.answers(first) == [set()] and node.answers(waits) == [set()]


@row("image, remove", "remove, slow inference")
def test_a_removed_object_is_on_no_image_that_is_in_work_or_waits(node):
    node.array(0, boxed(A), boxed(B))
    assert node.next_answer() == {A, B}
    first = node.in_work()
    waits = node.image()
    (identity,) = node.labels_at(node.masks[-1].header.stamp.sec, A)
    node.remove(identity)
    node.gate.open()
    node.answer(waits)
    assert node.answers(first) == [{B}] and node.answers(waits) == [{B}]


@pytest.mark.parametrize("kind", ["disabled", "deactivated"])
@row("image, pause", "image, resume", "pause, slow inference")
def test_a_paused_node_does_not_publish_even_the_frame_in_process(node, kind):
    def pause(on: bool) -> None:
        if kind == "disabled":
            node.enable(not on)
        else:
            assert change_state(node.robot, DEACTIVATE if on else ACTIVATE)

    node.click(A)
    kept = node.image()
    node.answer(kept, (A,))
    first = node.in_work()
    waits = node.image()
    pause(True)
    pause(False)
    node.gate.open()
    assert node.next_answer() == {A}
    node.counted("unknown_stamps", lambda: node.array(kept, boxed(B)))  # it is not kept any more
    assert node.next_answer() == {A}
    assert node.answers(first) == [] and node.answers(waits) == []


@row("image, parameter", "parameter, parameter", "parameter, slow inference", "resume, parameter")
def test_an_image_is_answered_with_the_values_at_the_beginning_of_its_work(node):
    node.click(B)
    first = node.in_work()
    node.parameter("mode", "everything")
    node.parameter("max_prompts", 2)
    node.gate.open()
    everything = node.next_answer()
    assert node.answers(first) == [{B}] and everything == {A}
    node.enable(False)
    node.enable(True)
    node.parameter("mode", "prompt")
    assert node.next_answer() == {B}


@row("image, restart", "stamped prompt, restart", "plain prompt, restart", "restart, restart")
def test_a_camera_that_starts_again_is_answered_and_found_by_its_stamps(node):
    node.click(A)
    start = node.robot.stamp
    node.next_answer()
    for shows in ({A}, {A, B}):
        node.robot.stamp = start - 90
        again = node.image()
        assert shown(node.answer(again)) == shows
        node.array(again, boxed(B))
        node.answer(again, (A, B))
    node.robot.stamp = start + 10


def test_an_array_for_a_missing_image_is_an_error(robots, known_bundle):
    robot = robots(bundle=known_bundle, history_s=0.5)
    robot.wait_state("active")
    node = Session(robot, Gate(known_bundle))
    node.counted("unknown_stamps", lambda: node.array(node.robot.stamp + 500, boxed(A)))
    assert "~/prompts: no image has the stamp" in robot.diagnostics["last_error"]
    assert node.next_answer() == set()
