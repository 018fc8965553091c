# SPDX-License-Identifier: Apache-2.0
"""The semantic node: images in, label maps with class names out.

A node beside the segmenter, with a model, a rate and a thread of its own: neither waits for the other.
"""

from __future__ import annotations

import sys
import time
import traceback

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from std_srvs.srv import SetBool

from ..dense import SemanticSegmenter
from ..io.encodings import ImageError, compressed_to_frame, image_to_frame
from ..malloc import HeapWatch, give_back_memory, tune_malloc
from ..segment import Frame
from .diagnostics import CameraDiagnostics
from .frame_scheduler import FrameScheduler
from .inference_thread import InferenceThread
from .managed_entities import ManagedEntities
from .qos import newest_only, transport_topic
from .recent_images import stamp_ns
from .recovery import Recovery
from .run import Nodes, run
from .semantic_parameters import NodeSemanticParameters
from .semantic_publishers import CONFIDENT, SemanticCamera, SemanticPublishers

#: Seconds between two log lines of one kind.
THROTTLE = 2.0
#: Tolerated share of the period of ``max_rate_hz``: camera frames arrive unevenly.
EARLY = 0.05


class SemanticNode(Node):
    """Topics and parameters: see docs/semantic.md.

    Args:
        subscribe: to the images; otherwise they come through :meth:`on_image`, in the same process.
        namespace: of the node and its topics.

    Raises:
        ValueError: a parameter or the bundle cannot be used.
    """

    def __init__(self, *, subscribe: bool = True, namespace: str = "") -> None:
        super().__init__("semantic", namespace=namespace or None)
        self._node_parameters = NodeSemanticParameters(self)
        options = self._node_parameters.current
        self._segmenter = SemanticSegmenter.open(options.model, options.backend, options.threads)
        try:
            self._node_parameters.use_classes(self._segmenter.bundle.classes)
        except ValueError:
            self._segmenter.close()
            raise
        give_back_memory()
        if options.malloc_tuning:
            tune_malloc()
        self._counters, self._recovery, self._heap = CameraDiagnostics(), Recovery(), HeapWatch()
        self._is_enabled, self._last_taken = True, 0.0
        self._frames: FrameScheduler[Image | CompressedImage] = FrameScheduler()
        self._entities = ManagedEntities(self, self._report_error)
        self._topic = transport_topic(self, "image", options.image_transport)
        self._outputs = SemanticPublishers(self, self._entities, SemanticCamera(self._report_error), options)
        self._publish_classes()
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # Diagnostics continue while simulated time stands still, and when the clock is set back.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(options.diagnostics_period_s, self._publish_diagnostics, clock=steady)
        self._entities.service(SetBool, "~/enable", self._on_enable)
        self._thread: InferenceThread[Image | CompressedImage, None] = InferenceThread(
            self._frames, self._process, self._on_error
        )
        if subscribe:
            kind = Image if options.image_transport == "raw" else CompressedImage
            self._entities.subscription(kind, self._topic, self.on_image, newest_only(options.reliability))
        self.get_logger().info(f"model {self._segmenter.bundle.name}; {self._segmenter.description}")

    def start(self) -> None:
        """Return at once: the node works as soon as its process spins."""

    def release(self) -> None:
        """End the inference thread after its frame and free the network."""
        if self._thread.stop():
            self._segmenter.close()

    # Executor's thread -----------------------------------------------------------------------------

    def on_image(self, message: Image | CompressedImage) -> None:
        """Receive an image; a newer one replaces one that waits."""
        if not self._is_enabled:
            return
        self._counters.frame_in()
        now, rate = time.monotonic(), self._node_parameters.current.max_rate_hz
        if rate is not None and now - self._last_taken < (1 - EARLY) / rate:
            self._counters.count("frames_skipped_by_max_rate")
            return
        self._last_taken = now
        self._frames.put_latest(message)

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._is_enabled = request.data
        if not self._is_enabled:
            self._frames.withdraw(0, lambda message: True)
        response.success, response.message = True, "enabled" if self._is_enabled else "disabled"
        return response

    def callback_failed(self, error: Exception) -> None:
        """Report a callback that raised: a fault of the node, but no reason to stop."""
        self.get_logger().error("".join(traceback.format_exception(error)), throttle_duration_sec=THROTTLE)
        self._counters.error("callback_errors", f"{type(error).__name__}: {error}")

    def _publish_diagnostics(self) -> None:
        self._heap.look()
        message = DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        state = "active" if self._is_enabled else "disabled"
        name, dropped = self.get_fully_qualified_name(), self._frames.dropped[0]
        backend = self._segmenter.description
        message.status = [self._counters.status(name, backend, dropped, state, self._thread.busy_for)]
        self._diagnostics.publish(message)

    def _publish_classes(self) -> None:
        header, threshold = Header(), self._node_parameters.current.score_threshold
        header.stamp = self.get_clock().now().to_msg()
        if not self._outputs.publish_classes(self._segmenter.bundle.classes, header, threshold):
            self.get_logger().warning(
                "vision_msgs is not installed: ~/label_info is off (apt install ros-$ROS_DISTRO-vision-msgs)"
            )

    def _report_error(self, kind: str, text: str) -> None:
        """Count an error, publish it in the diagnostics, and log it, throttled."""
        self._counters.error(kind, text)
        self.get_logger().error(text, throttle_duration_sec=THROTTLE)

    # Inference thread ------------------------------------------------------------------------------

    def _process(self, camera: int, message: Image | CompressedImage, prepared: None) -> None:
        """Publish the classes of a frame."""
        start, parameters = time.perf_counter(), self._node_parameters.current
        if self._recovery.pause():
            self._counters.count("frames_skipped_after_errors")
            return
        self._outputs.expect_depth(message.header)
        outputs = self._outputs.subscribed()
        if not outputs:
            self._counters.count("frames_without_listener")
            return
        frame = self._frame(message)
        if frame is None:
            return
        converted = time.perf_counter()
        found = self._segmenter.segment(
            frame.image,
            full_size=parameters.resolution == "image",
            only=parameters.classes,
            score_threshold=parameters.score_threshold,
            with_confidence=bool(outputs & CONFIDENT),
            confidence_of=parameters.confidence_class if "confidence" in outputs else None,
        )
        self._recovery.succeeded()
        segmented = time.perf_counter()
        if not self._is_enabled:
            self._counters.count("answers_not_published")
            return
        self._outputs.publish(outputs, message.header, frame, found, parameters.overlay_alpha)
        end = time.perf_counter()
        stages = {"convert": converted - start, **found.timings, "publish": end - segmented}
        age = (self.get_clock().now().nanoseconds - stamp_ns(message.header)) / 1e9
        self._counters.frame_out({**stages, "total": end - start}, age)

    def _frame(self, message: Image | CompressedImage) -> Frame | None:
        """Convert a message; report an image that cannot be used, and return None."""
        try:
            if isinstance(message, CompressedImage):
                return compressed_to_frame(message)
            return image_to_frame(message)
        except ImageError as error:
            self._report_error("bad_images", f"{self._topic}: {error}")
            return None

    def _on_error(self, camera: int, error: Exception) -> None:
        """Report a failed frame, which has no output."""
        if not rclpy.ok():
            return
        self._report_error("inference_errors", f"{type(error).__name__}: {error}")
        if self._recovery.failed():
            self._reopen()

    def _reopen(self) -> None:
        """Open the network again, on the next runtime where there is a choice."""
        before, options = self._segmenter, self._node_parameters.current
        self._recovery.exclude_runtime(before.runtime.backends)
        try:
            opened = SemanticSegmenter.open(
                before.bundle.folder, options.backend, options.threads, self._recovery.exclude
            )
        except Exception as error:
            self._report_error("inference_errors", f"the network cannot be reopened: {error}")
            return
        if opened.bundle.description != before.bundle.description:
            opened.close()
            self._report_error("inference_errors", f"{before.bundle.folder} has changed; restart the node")
            return
        self._segmenter = opened
        before.close()
        self.get_logger().info(f"switched: {opened.description}")


def main(args: list[str] | None = None) -> int:
    """Run the node; return the exit code."""
    return run("semantic", lambda: Nodes([SemanticNode()]), args)


if __name__ == "__main__":
    sys.exit(main())
