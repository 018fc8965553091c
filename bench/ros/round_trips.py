# SPDX-License-Identifier: Apache-2.0
"""Frames go out and masks come back, one at a time: how long each took, and which never came.

The clock starts just before ``publish`` is called with a message that is already filled, and stops when the
callback gets the mask: so publish, transport, the segmenter's callback and its inference thread, what it does
with image and mask, transport, and the executor here are in it; filling the message (a camera driver's work)
and what a listener does with the mask are not. Both ends are read on one clock, in one process.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Point, PointStamped
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CompressedImage, Image

from evitsam_ros.nodes.qos import newest_only, results
from evitsam_ros.nodes.recent_images import stamp_ns

#: Seconds after which a frame is given up, and between an answer and the next frame.
GIVE_UP, PAUSE = 0.5, 0.03
#: Seconds until nodes have found each other and answer.
READY = 60.0
#: Seconds between clicks while no object is in the answers.
CLICK_AGAIN = 2.0


@dataclass
class Target:
    """Who answers.

    Attributes:
        name: of the node.
        send: publishes a message to it, or hands it over.
        click: whether an object has to be pointed at first.
        times_ms: of each frame sent; None: no answer.
        stages: the node's own median latency by stage in ms, where it tells.
        active: whether it says that it is.
    """

    name: str
    send: Callable[[Any], None]
    click: bool
    times_ms: list[float | None] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=dict)
    active: bool = False
    pending: dict[int, tuple[int, float]] = field(default_factory=dict)
    newest: Image | None = None


class RoundTrips:
    """Sends ``message`` to targets by turns.

    Args:
        message: Image or CompressedImage, filled; it gets a stamp for every frame.
        nodes: of this process that have to be spun too.
    """

    def __init__(self, message: Image | CompressedImage, nodes: tuple[Any, ...] = ()) -> None:
        self.node = rclpy.create_node("bench_camera")
        self.message, self.targets = message, []
        self._executor = SingleThreadedExecutor()
        for node in (self.node, *nodes):
            self._executor.add_node(node)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def add(self, name: str, topic: str | None, hand_over: Callable | None, click: bool) -> None:
        """A node ``name`` that takes images on ``topic``, or from ``hand_over`` in this process."""
        send = hand_over
        if topic is not None:
            kind = type(self.message)
            publisher = self.node.create_publisher(kind, topic, newest_only("reliable"))
            send = publisher.publish
        target = Target(name, send, click)
        self.targets.append(target)
        self.node.create_subscription(
            Image, f"/{name}/label_map", partial(self._on_mask, target), results(10)
        )
        if click:
            self._clicks = self.node.create_publisher(PointStamped, f"/{name}/point", 5)

    def ready(self, x: float, y: float, answers: bool = True) -> None:
        """Wait until all targets are there, and point at pixel (x, y).

        Args:
            answers: send frames until every target answers, those to be clicked with an object. Without,
                it is enough that a node says it is active: nearly all frames may be lost on their way.

        Raises:
            TimeoutError: one is not; it names it.
        """
        for target in self.targets:
            if answers:
                self._until_answered(target, x, y)
            else:
                self._until(target, lambda target=target: target.active)
                self._clicks.publish(PointStamped(point=Point(x=x, y=y)))
            target.times_ms.clear()

    def _until_answered(self, target: Target, x: float, y: float) -> None:
        clicked = 0.0

        def answered() -> bool:
            nonlocal clicked
            if target.newest is None or not target.click:
                return target.newest is not None
            if time.monotonic() - clicked > CLICK_AGAIN:
                clicked = time.monotonic()
                self._clicks.publish(PointStamped(point=Point(x=x, y=y)))
            return bool(np.frombuffer(target.newest.data, np.uint8).any())

        self._until(target, answered)

    def _until(self, target: Target, done: Callable[[], bool]) -> None:
        """Send frames until it is so."""
        deadline = time.monotonic() + READY
        while not done():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{target.name} did not answer within {READY:.0f} s")
            self._round_trip(target)

    def measure(self, frames: int) -> None:
        """So many frames to each target, by turns."""
        for _ in range(frames):
            for target in self.targets:
                self._round_trip(target)
        self._spin(lambda: not any(target.pending for target in self.targets), 4 * GIVE_UP)

    def _round_trip(self, target: Target) -> None:
        header = self.message.header
        header.stamp = self.node.get_clock().now().to_msg()
        stamp, number = stamp_ns(header), len(target.times_ms)
        target.times_ms.append(None)
        target.pending[stamp] = number, time.monotonic()
        target.send(self.message)
        self._spin(lambda: stamp not in target.pending, GIVE_UP)
        self._spin(lambda: False, PAUSE)

    def _spin(self, done: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not done() and (left := deadline - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def _on_mask(self, target: Target, message: Image) -> None:
        now = time.monotonic()
        sent = target.pending.pop(stamp_ns(message.header), None)
        target.newest = message
        if sent is not None and sent[0] < len(target.times_ms):
            target.times_ms[sent[0]] = 1e3 * (now - sent[1])

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for target in self.targets:
            for status in message.status:
                if status.name.startswith(f"/{target.name}: "):
                    told = {entry.key: entry.value for entry in status.values}
                    target.active = told.get("state") == "active"
                    target.stages = {k[8:-3]: float(v) for k, v in told.items() if k.startswith("latency_")}

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
