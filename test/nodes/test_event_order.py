# SPDX-License-Identifier: Apache-2.0
"""The table of ``docs/event_order.md`` over a real node: every row has a test that names it.

An encoder that the test holds stands for a slow inference. Masks come in the order in which they are
published, so a mask that came later shows that nothing else came before it.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import Point, PointStamped
from lifecycle_msgs.msg import Transition
from sensor_msgs.msg import Image
from std_msgs.msg import UInt32
from std_srvs.srv import SetBool, Trigger

from .gated_segmenter import Gate
from .harness import change_state, pixels, set_parameter
from .prompting import detection, vision_msgs

DOCUMENT = Path(__file__).parents[2] / "docs" / "event_order.md"
DEACTIVATE, ACTIVATE = Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE
#: Places x, y of objects that do not touch one another.
A, B, C = (24, 24), (64, 48), (104, 72)
TESTED: set[str] = set()


def row(*names: str):
    """The rows of the table that a test is for."""
    TESTED.update(names)
    return lambda test: test


def boxed(place: tuple[int, int], identity: str = "", name: str = ""):
    return detection(*place, 16, 16, identity, name)


class Session:
    """What the tests do to a node, and what came of it."""

    def __init__(self, robot, gate: Gate) -> None:
        self.robot, self.gate = robot, gate
        self.masks = robot.peer.listen(Image, robot.topic("mask"))
        self.labels = robot.peer.listen(Image, robot.topic("label_map"))
        self.image()

    def until(self, done, seconds: float = 30.0) -> None:
        assert self.robot.peer.until(done, seconds), (self.robot.diagnostics, self.robot.process.output)

    def counted(self, name: str, action) -> None:
        """Do something, and wait until the node has counted it."""
        before = self.robot.count(name)
        action()
        self.until(lambda: self.robot.count(name) > before)

    def image(self, image: np.ndarray | None = None) -> int:
        """The stamp of an image that has come to the node; one may be lost."""
        before = self.robot.count("frames_in")
        for _ in range(30):
            stamp = self.robot.send_image(image=image).header.stamp.sec
            if self.robot.peer.until(lambda: self.robot.count("frames_in") > before, 1.0):
                return stamp
        raise AssertionError(f"no image came: {self.robot.diagnostics}")

    def array(self, stamp: int, *detections) -> None:
        message = vision_msgs.Detection2DArray(detections=list(detections))
        message.header.stamp.sec = stamp
        self.counted("prompts_in", lambda: self.robot.peer.publish(self.robot.topic("prompts"), message))

    def click(self, place: tuple[int, int], stamp: int = 0) -> None:
        x, y = map(float, place)
        if stamp:
            message = PointStamped(point=Point(x=x, y=y))
            message.header.stamp.sec = stamp
            action = lambda: self.robot.peer.publish(self.robot.topic("point"), message)  # noqa: E731
        else:
            action = lambda: self.robot.peer.publish(self.robot.topic("pixel"), Point(x=x, y=y))  # noqa: E731
        self.counted("prompts_in", action)

    def clear(self) -> str:
        return self.robot.peer.call(Trigger, self.robot.topic("clear_prompts"), Trigger.Request()).message

    def remove(self, identity: int, known: bool = True) -> None:
        publish = lambda: self.robot.peer.publish(  # noqa: E731
            self.robot.topic("remove_object"), UInt32(data=identity)
        )
        self.counted("objects_removed" if known else "bad_prompts", publish)

    def enable(self, on: bool) -> None:
        self.robot.peer.call(SetBool, self.robot.topic("enable"), SetBool.Request(data=on))

    def parameter(self, name: str, value) -> None:
        assert set_parameter(self.robot, name, value).successful

    def in_work(self) -> int:
        """The stamp of an image that is in work, until the gate is opened; something has to be prompted."""
        self.gate.close()
        stamp = self.image()
        self.until(lambda: self.gate.in_work)
        return stamp

    def answer(self, stamp: int, shows: tuple[tuple[int, int], ...] | None = None) -> Image:
        """The last mask of an image; the next one that shows these places alone, if they are given."""

        def found() -> list[Image]:
            of_image = [mask for mask in self.masks if mask.header.stamp.sec == stamp]
            return [mask for mask in of_image if shows is None or shown(mask) == set(shows)]

        self.until(lambda: bool(found()))
        return found()[-1]

    def next_answer(self) -> set[tuple[int, int]]:
        """What the answer to a new image shows; all earlier answers have come with it."""
        return shown(self.answer(self.image()))

    def answers(self, stamp: int) -> list[set[tuple[int, int]]]:
        """What the masks of an image show that have come so far, one after the other."""
        return [shown(mask) for mask in self.masks if mask.header.stamp.sec == stamp]

    def labels_at(self, stamp: int, *places: tuple[int, int]) -> list[int]:
        """The values of the last label map of an image at these places."""
        self.until(lambda: any(m.header.stamp.sec == stamp for m in self.labels))
        labels = pixels([m for m in self.labels if m.header.stamp.sec == stamp][-1], np.uint16)
        return [int(labels[y, x]) for x, y in places]


def shown(mask: Image) -> set[tuple[int, int]]:
    return {(x, y) for x, y in (A, B, C) if pixels(mask)[y, x]}


@pytest.fixture(scope="module")
def shared(robots, known_bundle, tmp_path_factory) -> Session:
    folder = tmp_path_factory.mktemp("engines") / "gated"
    shutil.copytree(known_bundle, folder)
    robot = robots(bundle=folder, module="test.nodes.gated_segmenter", history_s=60.0, backend="onnxruntime")
    robot.wait_state("active")
    return Session(robot, Gate(folder))


@pytest.fixture
def node(shared) -> Session:
    """An active node that is asked for nothing, with the parameters at their defaults."""
    shared.gate.open()
    shared.enable(True)
    shared.robot.wait_state("active")
    shared.clear()
    for name, value in (("mode", "prompt"), ("enable_tracking", True), ("missing_image_policy", "reject")):
        shared.parameter(name, value)
    shared.next_answer()
    yield shared
    shared.gate.open()


def test_every_row_has_a_test():
    rows = set(re.findall(r"^\| ([a-z ]+, [a-z ]+) \|", DOCUMENT.read_text(), re.M))
    assert len(rows) == 55 and rows == TESTED


# Images ------------------------------------------------------------------------------------------------


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
def test_a_plain_prompt_counts_from_the_next_image_whose_work_begins(node):
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
def test_a_paused_node_publishes_nothing_not_even_what_is_in_work(node, kind):
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


def test_an_array_for_an_image_that_never_comes_is_an_error(robots, known_bundle):
    robot = robots(bundle=known_bundle, history_s=0.5)
    robot.wait_state("active")
    node = Session(robot, Gate(known_bundle))
    node.counted("unknown_stamps", lambda: node.array(node.robot.stamp + 500, boxed(A)))
    assert "~/prompts: no image has the stamp" in robot.diagnostics["last_error"]
    assert node.next_answer() == set()


# Prompts -----------------------------------------------------------------------------------------------


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


def test_a_stamped_array_in_work_is_answered_and_does_not_take_the_place_of_a_newer_one(node):
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
def test_remove_takes_an_object_out_of_a_stamped_prompt_wherever_it_waits(node, where):
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
def test_a_pause_drops_stamped_prompts_and_says_so(node):
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


def test_without_tracking_empty_label_maps_come_again_after_the_detector(node):
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


@row("plain prompt, plain prompt")
@pytest.mark.parametrize("ids", [("a", "b"), ("", "")])
def test_objects_keep_their_label_values_in_another_order(node, ids):
    cup, dog = boxed(A, ids[0], "cup"), boxed(B, ids[1], "dog")
    other = boxed(C, "c" if ids[0] else "", "dog")

    def values(*array) -> list[int]:
        """The label values at A, B and C."""
        node.array(0, *array)
        return node.labels_at(node.image(), A, B, C)

    first, second, nothing = values(cup, dog)
    assert first and second and not nothing
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


# Pauses and restarts -----------------------------------------------------------------------------------


@row("pause, pause", "resume, resume", "resume, slow inference")
def test_enable_and_lifecycle_count_separately(node):
    node.click(A)
    node.enable(False)
    assert change_state(node.robot, DEACTIVATE) and change_state(node.robot, ACTIVATE)
    node.robot.wait_state("disabled")
    before = node.robot.stamp
    for _ in range(3):
        node.robot.send_image()
    node.enable(True)
    node.enable(True)
    first = node.in_work()
    node.enable(True)
    waits = node.image()
    node.gate.open()
    node.answer(waits, (A,))
    assert node.answers(first) == [{A}]
    assert not [mask for mask in node.masks if before < mask.header.stamp.sec < first]


@row("clear, restart", "remove, restart", "parameter, restart", "pause, restart", "resume, restart")
def test_a_restart_changes_nothing_of_what_is_asked(node):
    node.array(0, boxed(A), boxed(B))
    stamp = node.image()
    (identity,) = node.labels_at(stamp, B)
    node.robot.stamp += 100
    node.remove(identity)
    assert node.next_answer() == {A}
    node.enable(False)
    node.robot.stamp -= 50
    node.parameter("enable_tracking", False)
    node.enable(True)
    node.robot.stamp += 100
    assert node.next_answer() == {A}
    node.clear()
    node.robot.stamp += 100
    assert node.next_answer() == set()


@row("restart, slow inference")
def test_the_image_in_work_is_answered_when_the_camera_restarts(node):
    node.click(A)
    first = node.in_work()
    node.robot.stamp += 100
    again = node.image()
    node.gate.open()
    node.answer(again, (A,))
    assert node.answers(first) == [{A}]


@pytest.fixture(scope="module")
def scenes(robots, colour_bundle) -> Session:
    robot = robots(bundle=colour_bundle, backend="onnxruntime")
    robot.wait_state("active")
    return Session(robot, Gate(colour_bundle))


def scene(colour: tuple[int, int, int], place: tuple[int, int] = B) -> np.ndarray:
    """A coloured patch on a grey wall."""
    image = np.full((96, 128, 3), 90, np.uint8)
    x, y = place
    image[y - 14 : y + 14, x - 14 : x + 14] = colour
    return image


RED, BLUE = (250, 10, 10), (10, 10, 250)
PAUSES = {
    "disabled": lambda node: (node.enable(False), node.enable(True)),
    "deactivated": lambda node: (change_state(node.robot, DEACTIVATE), change_state(node.robot, ACTIVATE)),
    "restarted": lambda node: setattr(node.robot, "stamp", node.robot.stamp + 100),
}


@row("pause, resume")
@pytest.mark.parametrize("pause", PAUSES)
def test_after_a_pause_another_object_does_not_have_an_old_id(scenes, pause):
    scenes.parameter("mode", "prompt")
    scenes.clear()
    scenes.array(0, boxed(B))
    assert shown(scenes.answer(scenes.image(scene(RED)))) == {B}
    PAUSES[pause](scenes)
    other = scenes.image(scene(BLUE))
    assert shown(scenes.answer(other)) == set()
    PAUSES[pause](scenes)
    assert shown(scenes.answer(scenes.image(scene(RED)))) == {B}, "it is known by its looks"
    scenes.parameter("mode", "everything")
    (before,) = scenes.labels_at(scenes.image(scene(RED)), B)
    PAUSES[pause](scenes)
    (after,) = scenes.labels_at(scenes.image(scene(RED)), B)
    assert before and after and before != after


# Failures and listeners --------------------------------------------------------------------------------


def test_stamped_prompts_wait_for_the_end_of_the_pause_after_failures(node):
    node.click(A)
    kept = node.image()
    node.answer(kept, (A,))
    node.gate.fail()
    before = node.robot.count("inference_errors")
    for _ in range(100):
        node.image()
        if node.robot.count("inference_errors") >= before + 4:
            break
    node.array(kept, boxed(B))
    node.click(C, kept)
    node.gate.open()
    node.answer(kept, (A, B, C))
    assert node.next_answer() == {A, B, C}


def test_prompts_of_an_image_that_fails_are_dropped_and_named(node):
    kept = node.image()
    node.answer(kept)
    node.gate.fail()
    node.counted("prompts_dropped", lambda: node.array(kept, boxed(B)))
    text = f"~/prompts: the prompts for the image of {kept}.000 s are dropped: inference failed"
    assert text in node.robot.process.output
    node.gate.open()
    assert node.next_answer() == set()


def test_a_box_that_nobody_listened_for_is_on_no_later_image(robots, known_bundle):
    robot = robots(bundle=known_bundle)
    robot.wait_state("active")
    stamp = 0
    for _ in range(30):
        stamp = robot.send_image().header.stamp.sec
        if robot.peer.until(lambda: robot.count("frames_in") > 0, 1.0):
            break
    message = vision_msgs.Detection2DArray(detections=[boxed(A)])
    message.header.stamp.sec = stamp
    robot.peer.publish(robot.topic("prompts"), message)
    assert robot.peer.until(lambda: robot.count("prompts_without_listener") == 1, 30), robot.diagnostics
    node = Session(robot, Gate(known_bundle))
    node.answer(node.image())
    assert node.next_answer() == set()


def test_names_are_published_again_after_an_activation(node):
    from rclpy.qos import QoSDurabilityPolicy, QoSProfile

    heard: list = []
    qos = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
    node.robot.peer.node.create_subscription(
        vision_msgs.LabelInfo, node.robot.topic("label_info"), heard.append, qos
    )
    node.array(0, boxed(A, "a", "cup"))
    assert node.next_answer() == {A}
    node.in_work()
    node.array(0, boxed(A, "a", "mug"))
    node.image()
    assert change_state(node.robot, DEACTIVATE)
    node.gate.open()
    assert change_state(node.robot, ACTIVATE)
    assert node.next_answer() == {A}
    node.until(lambda: bool(heard) and "mug" in [entry.class_name for entry in heard[-1].class_map])
