# SPDX-License-Identifier: Apache-2.0
"""Run the demo's nodes as processes, and act as a robot's other nodes: receive results, send prompts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PointStamped
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: Seconds that a service may take on a busy machine until the demo fails.
SERVICE_LIMIT = 100.0


@dataclass
class Answer:
    """One answered frame: overlay and label map of the same image."""

    overlay: np.ndarray
    labels: np.ndarray
    stamp: float


def pixels(message: Image, dtype: type, channels: int) -> np.ndarray:
    """Return the pixels of a message: ``(H, W)``, or ``(H, W, channels)`` for several channels."""
    flat: np.ndarray = np.frombuffer(message.data, dtype)
    shape = (message.height, message.width) if channels == 1 else (message.height, message.width, channels)
    return flat.reshape(shape)


def seconds_of(stamp) -> float:
    """Convert a ``builtin_interfaces/Time`` to seconds."""
    return stamp.sec + stamp.nanosec * 1e-9


class Client(Node):
    """Count the received messages, and keep the newest complete answer."""

    def __init__(self) -> None:
        super().__init__("demo_client")
        self.frames = 0
        self.answers = 0
        self.masks = 0
        self.diagnostics: dict[str, str] = {}
        self._diagnostics_stamp = 0.0
        self.latency: dict[str, dict[str, float]] = {}
        self.answer: Answer | None = None
        self._labels: dict[tuple[int, int], np.ndarray] = {}
        self.create_subscription(Image, "image", self._on_image, 1)
        self.create_subscription(Image, "segmenter/label_map", self._on_labels, 5)
        self.create_subscription(Image, "segmenter/overlay", self._on_overlay, 5)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 5)
        self.point = self.create_publisher(PointStamped, "segmenter/point", 5)
        self.boxes = self._box_publisher()
        self._parameter_client = self.create_client(SetParameters, "segmenter/set_parameters")
        self._clear = self.create_client(Trigger, "segmenter/clear_prompts")

    def _box_publisher(self):
        try:
            from vision_msgs.msg import Detection2DArray
        except ImportError:
            return None
        return self.create_publisher(Detection2DArray, "segmenter/prompts", 5)

    def _on_image(self, message: Image) -> None:
        self.frames += 1

    def _on_labels(self, message: Image) -> None:
        labels = pixels(message, np.uint16, 1)
        self.answers += 1
        self.masks += len(np.unique(labels)) - int((labels == 0).any())
        stamp = message.header.stamp
        self._labels = {(stamp.sec, stamp.nanosec): labels}

    def _on_overlay(self, message: Image) -> None:
        stamp = message.header.stamp
        labels = self._labels.get((stamp.sec, stamp.nanosec))
        if labels is not None and labels.any():
            self.answer = Answer(pixels(message, np.uint8, 3).copy(), labels.copy(), seconds_of(stamp))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if "segmentation" in status.name:
                self.diagnostics = {entry.key: entry.value for entry in status.values}
                self._diagnostics_stamp = seconds_of(message.header.stamp)

    def spin_until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Handle messages until ``done`` returns True or the time is over."""
        deadline = time.monotonic() + seconds
        while not done() and time.monotonic() < deadline:
            rclpy.spin_once(self, timeout_sec=0.1)
        return done()

    def note_latency(self, mode: str, seconds: float) -> None:
        """Keep the median latencies by stage in the segmenter's next diagnostics, under ``mode``."""
        now = self.seconds()
        self.spin_until(lambda: self._diagnostics_stamp > now, seconds)
        found = {k[8:-3]: float(v) for k, v in self.diagnostics.items() if k.startswith("latency_")}
        self.latency[mode] = found

    def seconds(self) -> float:
        """Return the current time of the clock that stamps the images."""
        return self.get_clock().now().nanoseconds * 1e-9

    def can_prompt(self) -> bool:
        """Return whether the segmenter has discovered the publishers of prompts, so that none is lost."""
        publishers = [self.point] if self.boxes is None else [self.point, self.boxes]
        return all(publisher.get_subscription_count() for publisher in publishers)

    def send_point(self, x: float, y: float) -> None:
        """Publish a click at a pixel."""
        message = PointStamped()
        message.header.stamp = self.get_clock().now().to_msg()
        message.point.x, message.point.y = x, y
        self.point.publish(message)

    def send_box(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """Publish a box in pixels."""
        from vision_msgs.msg import Detection2D, Detection2DArray

        detection = Detection2D()
        centre = getattr(detection.bbox.center, "position", detection.bbox.center)
        centre.x, centre.y = (x0 + x1) / 2, (y0 + y1) / 2
        detection.bbox.size_x, detection.bbox.size_y = x1 - x0, y1 - y0
        self.boxes.publish(Detection2DArray(detections=[detection]))

    def clear(self) -> bool:
        """Clear the prompts; return whether the service answered."""
        return self._call(self._clear, Trigger.Request())

    def set_mode(self, mode: str) -> bool:
        """Set the parameter ``mode``; return whether the service answered."""
        value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=mode)
        return self._call(
            self._parameter_client, SetParameters.Request(parameters=[Parameter(name="mode", value=value)])
        )

    def _call(self, client, request) -> bool:
        if not client.wait_for_service(timeout_sec=SERVICE_LIMIT):
            return False
        future = client.call_async(request)
        return self.spin_until(future.done, SERVICE_LIMIT)


class NodeProcess:
    """``python -m evitsam_ros.nodes.<name>`` with flags and parameters; its output goes to a log file."""

    def __init__(
        self, name: str, log: Path, parameters: dict[str, object], flags: tuple[str, ...] = ()
    ) -> None:
        self.name, self.log = name, log
        given = [part for key, value in parameters.items() for part in ("-p", f"{key}:={value}")]
        command = [sys.executable, "-m", f"evitsam_ros.nodes.{name}", *flags, "--ros-args", *given]
        # The ROS wheels restart Python once and mark it here; a child has to restart again.
        environment = {k: v for k, v in os.environ.items() if k != "_ROS_WHEELS_BOOTSTRAP_COMPLETE"}
        with log.open("w") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment)

    @property
    def running(self) -> bool:
        """Return whether the process runs."""
        return self.process.poll() is None

    def tail(self, lines: int = 15) -> str:
        """Return the last lines of the log, each with the name of the node."""
        text = self.log.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join(f"  {self.name}| {line}" for line in text)

    def stop(self) -> None:
        """Send SIGINT, and kill the process if it does not stop."""
        if self.running:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
