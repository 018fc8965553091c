# SPDX-License-Identifier: Apache-2.0
"""Measure round trips of frames and masks, one at a time, and count frames without a mask.

The clock starts just before ``publish`` is called with a filled message, and stops when the callback
receives the mask. So the time includes publish, transport, the segmenter's callback and inference thread,
transport and the executor here. It excludes filling the message, which is a camera driver's work, and any use
of the mask.
Both ends are read on one clock, in one process.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Point, PointStamped
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CompressedImage, Image

from evitsam_ros.nodes.qos import newest_only, results
from evitsam_ros.nodes.recent_images import stamp_ns

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds until a frame counts as lost, and between an answer and the next frame.
TIMEOUT, PAUSE = 0.5, 0.03
#: Seconds until nodes have discovered each other and answer.
READY_TIMEOUT = 60.0
#: Seconds between clicks while the answers have no object.
CLICK_PERIOD = 2.0


@dataclass
class Target:
    """A node that answers.

    Attributes:
        name: of the node.
        send: publishes a message to it, or hands it over.
        click: whether an object has to be clicked first.
        times_ms: time of each frame sent; None: no answer.
        stages: the node's own median latency by stage in ms, if it reports it.
        active: whether it reports that it is active.
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
    """Send ``message`` to targets alternately.

    Args:
        message: Image or CompressedImage, filled; it gets a stamp for every frame.
        nodes: nodes of this process that have to be spun too.
    """

    def __init__(self, message: Image | CompressedImage, nodes: tuple[Any, ...] = ()) -> None:
        self.node = rclpy.create_node("bench_camera")
        self.message, self.targets = message, []
        self._executor = SingleThreadedExecutor()
        for node in (self.node, *nodes):
            self._executor.add_node(node)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def add(self, name: str, topic: str | None, hand_over: Callable | None, *, click: bool) -> None:
        """Add a node as a target.

        Args:
            name: of the node.
            topic: image topic; None if ``hand_over`` takes the images in this process.
            hand_over: image callback of a node in this process.
            click: whether an object has to be clicked first.
        """
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

    def ready(self, x: float, y: float, *, answers: bool = True) -> None:
        """Wait until all targets answer, and click a pixel.

        Args:
            x: of the pixel.
            y: of the pixel.
            answers: send frames until every target answers, the clicked ones with an object. If False, wait
                only until a node reports that it is active: nearly all frames may be lost.

        Raises:
            TimeoutError: a target did not answer; names it.
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
            if time.monotonic() - clicked > CLICK_PERIOD:
                clicked = time.monotonic()
                self._clicks.publish(PointStamped(point=Point(x=x, y=y)))
            return bool(np.frombuffer(target.newest.data, np.uint8).any())

        self._until(target, answered)

    def _until(self, target: Target, done: Callable[[], bool]) -> None:
        """Send frames until ``done`` returns True."""
        deadline = time.monotonic() + READY_TIMEOUT
        while not done():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{target.name} did not answer within {READY_TIMEOUT:.0f} s")
            self._round_trip(target)

    def measure(self, frames: int) -> None:
        """Send this many frames to each target, alternately."""
        for _ in range(frames):
            for target in self.targets:
                self._round_trip(target)
        self._spin(lambda: not any(target.pending for target in self.targets), 4 * TIMEOUT)

    def _round_trip(self, target: Target) -> None:
        header = self.message.header
        header.stamp = self.node.get_clock().now().to_msg()
        stamp, number = stamp_ns(header), len(target.times_ms)
        target.times_ms.append(None)
        target.pending[stamp] = number, time.monotonic()
        target.send(self.message)
        self._spin(lambda: stamp not in target.pending, TIMEOUT)
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
                    values = {entry.key: entry.value for entry in status.values}
                    target.active = values.get("state") == "active"
                    target.stages = {k[8:-3]: float(v) for k, v in values.items() if k.startswith("latency_")}

    def close(self) -> None:
        """Destroy the node."""
        self._executor.shutdown()
        self.node.destroy_node()
