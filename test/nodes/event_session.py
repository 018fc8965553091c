# SPDX-License-Identifier: Apache-2.0
"""Drive a robot through sequences of events, for the tests of ``docs/event_order.md``.

An encoder that the test holds stands for a slow inference. Masks arrive in the order in which they are
published, so a later mask shows that nothing else came before it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from geometry_msgs.msg import Point, PointStamped
from lifecycle_msgs.msg import Transition
from sensor_msgs.msg import Image
from std_msgs.msg import UInt32
from std_srvs.srv import SetBool, Trigger

from .gated_segmenter import Gate
from .harness import pixels, set_parameter
from .prompting import detection, vision_msgs

DEACTIVATE, ACTIVATE = Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE
#: Places x, y of objects that do not touch one another.
A, B, C = (24, 24), (64, 48), (104, 72)


def row(*names: str) -> Callable[[Callable], Callable]:
    """Name the rows of the table that a test is for."""
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

    def until(self, done, seconds: float = 300.0) -> None:
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
