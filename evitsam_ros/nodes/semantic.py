# SPDX-License-Identifier: Apache-2.0
"""The semantic node: images in, label maps with class names out.

A node beside the segmenter, with a model, a rate and a process of its own: neither waits for the other.
"""

from __future__ import annotations

import sys
import time
import traceback
from typing import Any, cast

import cv2
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from std_srvs.srv import SetBool

from ..dense import ClassTable, LabelMap, SemanticSegmenter
from ..io.encodings import ImageError, compressed_to_frame, image_to_frame
from ..malloc import tune_malloc
from ..segment import Frame
from .diagnostics import CameraDiagnostics
from .frame_scheduler import FrameScheduler
from .inference_thread import InferenceThread
from .messages import image_message
from .qos import latched, newest_only, results, transport_topic
from .recent_images import stamp_ns
from .run import Nodes, run
from .semantic_parameters import check_classes, class_names, declare_parameters

try:
    from vision_msgs.msg import LabelInfo, VisionClass
except ImportError:  # the node works without; it logs that when it starts
    LabelInfo = VisionClass = None

#: Seconds between two log lines of one kind.
THROTTLE = 2.0
#: Outputs and the encodings of their images.
OUTPUTS = {"label_map": "mono8", "overlay": "rgb8", "confidence": "32FC1"}


class SemanticNode(Node):
    """Topics and parameters: see docs/semantic.md.

    Raises:
        ValueError: a parameter or the bundle cannot be used.
    """

    def __init__(self) -> None:
        super().__init__("semantic")
        options = declare_parameters(self)
        self._segmenter = SemanticSegmenter.open(options["model"], options["backend"], options["threads"])
        self._counters = CameraDiagnostics()
        self._enabled, self._last_taken = True, 0.0
        self._frames: FrameScheduler[Any] = FrameScheduler()
        try:
            check_classes(self, self._segmenter.bundle.classes)
        except ValueError:
            self._segmenter.close()
            raise
        self._outputs = {name: self.create_publisher(Image, f"~/{name}", results()) for name in OUTPUTS}
        self._publish_classes(self._segmenter.bundle.classes)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(options["diagnostics_period_s"], self._publish_diagnostics, clock=steady)
        self.create_service(SetBool, "~/enable", self._on_enable)
        transport = options["image_transport"]
        self._topic = transport_topic(self, "image", transport)
        kind = Image if transport == "raw" else CompressedImage
        self._thread: InferenceThread[Image | CompressedImage, None] = InferenceThread(
            self._frames, self._answer, self._failed
        )
        self.create_subscription(kind, self._topic, self._on_image, newest_only(options["reliability"]))
        self.get_logger().info(f"model {self._segmenter.bundle.name}; {self._segmenter.description}")

    def start(self) -> None:
        """Do nothing: the node works as soon as its process spins."""

    def release(self) -> None:
        """End the inference thread after its frame and free the network."""
        if self._thread.stop():
            self._segmenter.close()

    # Executor's thread -----------------------------------------------------------------------------

    def _on_image(self, message: Image | CompressedImage) -> None:
        if not self._enabled:
            return
        self._counters.frame_in()
        now, rate = time.monotonic(), self._value("max_rate_hz")
        if rate > 0 and now - self._last_taken < 0.95 / rate:
            self._counters.count("frames_skipped_by_max_rate")
            return
        self._last_taken = now
        self._frames.put_latest(message)

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._enabled = request.data
        if not self._enabled:
            self._frames.withdraw(0, lambda message: True)
        response.success, response.message = True, "enabled" if self._enabled else "disabled"
        return response

    def callback_failed(self, error: Exception) -> None:
        """Log what a callback raised; the node goes on."""
        self.get_logger().error("".join(traceback.format_exception(error)), throttle_duration_sec=THROTTLE)
        self._counters.error("callback_errors", f"{type(error).__name__}: {error}")

    def _publish_diagnostics(self) -> None:
        message = DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        state = "active" if self._enabled else "disabled"
        name, dropped = self.get_fully_qualified_name(), self._frames.dropped[0]
        backend = self._segmenter.description
        message.status = [self._counters.status(name, backend, dropped, state, self._thread.busy_for)]
        self._diagnostics.publish(message)

    def _publish_classes(self, classes: ClassTable) -> None:
        """Publish the names of the label map's values, for everyone who comes later too."""
        if LabelInfo is None:
            self.get_logger().warning(
                "vision_msgs is not installed: ~/label_info is off (apt install ros-$ROS_DISTRO-vision-msgs)"
            )
            return
        message = LabelInfo(threshold=float(self._value("score_threshold")))
        message.header.stamp = self.get_clock().now().to_msg()
        message.class_map = [
            VisionClass(class_id=value, class_name=name)
            for value, name in enumerate(("void", *classes.names))
        ]
        self._label_info = self.create_publisher(LabelInfo, "~/label_info", latched())
        self._label_info.publish(message)

    def _value(self, name: str):
        return self.get_parameter(name).value

    # Inference thread ------------------------------------------------------------------------------

    def _answer(self, camera: int, message: Image | CompressedImage, prepared: None) -> None:
        start = time.perf_counter()
        listeners = {name for name, made in self._outputs.items() if made.get_subscription_count() > 0}
        if not listeners:
            self._counters.count("frames_without_listener")
            return
        frame = self._frame(message)
        if frame is None:
            return
        converted = time.perf_counter()
        found = self._segmenter.segment(
            frame.image,
            full_size=self._value("resolution") == "image",
            only=class_names(self._value("classes"), self._segmenter.bundle.classes),
            score_threshold=self._value("score_threshold"),
            with_confidence="confidence" in listeners,
        )
        segmented = time.perf_counter()
        if not self._enabled:
            self._counters.count("answers_not_published")
            return
        for name in listeners:
            self._outputs[name].publish(self._message(name, message.header, frame, found))
        end = time.perf_counter()
        stages = {"convert": converted - start, **found.timings, "publish": end - segmented}
        age = (self.get_clock().now().nanoseconds - stamp_ns(message.header)) / 1e9
        self._counters.frame_out({**stages, "total": end - start}, age)

    def _message(self, output: str, header: Header, frame: Frame, found: LabelMap) -> Image:
        if output == "label_map":
            pixels = found.labels
        elif output == "confidence":
            pixels = cast("np.ndarray", found.confidence)  # was asked for
        else:
            height, width = found.labels.shape
            image = frame.image
            if image.shape[:2] != (height, width):
                image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            pixels = found.overlay(image, self._value("overlay_alpha"))
        return image_message(header, np.ascontiguousarray(pixels), OUTPUTS[output])

    def _frame(self, message: Image | CompressedImage) -> Frame | None:
        try:
            if isinstance(message, CompressedImage):
                return compressed_to_frame(message)
            return image_to_frame(message)
        except ImageError as error:
            self._reject("bad_images", f"{self._topic}: {error}")
            return None

    def _failed(self, camera: int, error: Exception) -> None:
        """A frame could not be answered: nothing is published for it."""
        if rclpy.ok():
            self._reject("inference_errors", f"{type(error).__name__}: {error}")

    def _reject(self, reason: str, text: str) -> None:
        self._counters.error(reason, text)
        self.get_logger().error(text, throttle_duration_sec=THROTTLE)


def main(args: list[str] | None = None) -> int:
    """Run the node; return the exit code."""
    tune_malloc()
    return run("semantic", lambda: Nodes([SemanticNode()]), args)


if __name__ == "__main__":
    sys.exit(main())
