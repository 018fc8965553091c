# SPDX-License-Identifier: Apache-2.0
"""The semantic node: images in, label maps with class names out.

A node beside the segmenter, with a model, a rate and a thread of its own: neither waits for the other.
"""

from __future__ import annotations

import sys
import time
import traceback

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from std_srvs.srv import SetBool

from ..dense import SemanticSegmenter
from ..malloc import HeapWatch, give_back_memory, tune_malloc
from .diagnostics import CameraDiagnostics
from .frame_loss import FrameLossReport
from .managed_entities import ManagedEntities
from .qos import newest_only, transport_topic
from .recent_images import stamp_ns
from .run import Nodes, run
from .semantic_inference import SemanticInference
from .semantic_parameters import NodeSemanticParameters, SemanticParameters
from .semantic_publishers import SemanticCamera, SemanticPublishers

#: Seconds between two log lines of one kind.
THROTTLE = 2.0
#: Seconds between two checks for invalid results.
TICK = 0.25
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
        segmenter = SemanticSegmenter.open(
            options.model, options.backend, options.threads, precision=options.precision
        )
        try:
            self._node_parameters.use_classes(segmenter.bundle.classes)
        except ValueError:
            segmenter.close()
            raise
        give_back_memory()
        if options.malloc_tuning:
            tune_malloc()
        self._counters, self._heap = CameraDiagnostics(), HeapWatch()
        self._is_enabled, self._last_taken = True, 0.0
        self._entities = ManagedEntities(self, self._report_error)
        topic = transport_topic(self, "image", options.image_transport)
        self._losses = FrameLossReport(self._counters, topic)
        self._outputs = SemanticPublishers(
            self,
            self._entities,
            SemanticCamera(self._report_error),
            options,
            lambda: self._current().jpeg_quality,
        )
        choice = f" {segmenter.runtime.choice}" if segmenter.runtime.choice else ""
        self.get_logger().info(f"model {segmenter.bundle.name}; {segmenter.description}{choice}")
        self._inference = SemanticInference(
            segmenter,
            self._current,
            self._outputs,
            self._counters,
            topic,
            self._report_error,
            self.get_logger(),
            lambda: self.get_clock().now().nanoseconds,
        )
        self._publish_classes()
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # Diagnostics continue while simulated time stands still, and when the clock is set back.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(options.diagnostics_period_s, self._publish_diagnostics, clock=steady)
        self.create_timer(TICK, self._inference.empty.tick, clock=steady)
        self._entities.service(SetBool, "~/enable", self._on_enable)
        if subscribe:
            kind = Image if options.image_transport == "raw" else CompressedImage
            self._entities.subscription(kind, topic, self.on_image, newest_only(options.reliability))

    def start(self) -> None:
        """Return at once: the node works as soon as its process spins."""

    def release(self) -> None:
        """End the inference thread after its frame and free the network."""
        self._inference.stop()

    def on_image(self, message: Image | CompressedImage) -> None:
        """Receive an image; a newer one replaces one that waits."""
        if not self._is_enabled:
            return
        self._counters.frame_in()
        self._losses.add(stamp_ns(message.header) / 1e9)
        now, rate = time.monotonic(), self._current().max_rate_hz
        if rate is not None and now - self._last_taken < (1 - EARLY) / rate:
            self._counters.count("frames_skipped_by_max_rate")
            return
        self._last_taken = now
        self._inference.submit(message)

    def _current(self) -> SemanticParameters:
        return self._node_parameters.current

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if request.data and not self._is_enabled:
            self._inference.resume()
        elif not request.data and self._is_enabled:
            self._inference.pause("the node is disabled")
        self._is_enabled = request.data
        response.success, response.message = True, "enabled" if self._is_enabled else "disabled"
        return response

    def callback_failed(self, error: Exception) -> None:
        """Report a callback that raised: a fault of the node, but no reason to stop."""
        self.get_logger().error("".join(traceback.format_exception(error)), throttle_duration_sec=THROTTLE)
        self._counters.error("callback_errors", f"{type(error).__name__}: {error}")

    def _publish_diagnostics(self) -> None:
        self._heap.look()
        message, inference = DiagnosticArray(), self._inference
        message.header.stamp = self.get_clock().now().to_msg()
        state = "active" if self._is_enabled else "disabled"
        name, backend = self.get_fully_qualified_name(), inference.segmenter.description
        message.status = [self._counters.status(name, backend, inference.dropped, state, inference.busy_for)]
        self._diagnostics.publish(message)

    def _publish_classes(self) -> None:
        header, threshold = Header(), self._current().score_threshold
        header.stamp = self.get_clock().now().to_msg()
        if not self._outputs.publish_classes(self._inference.segmenter.bundle.classes, header, threshold):
            self.get_logger().warning(
                "vision_msgs is not installed: ~/label_info is off (apt install ros-$ROS_DISTRO-vision-msgs)"
            )

    def _report_error(self, kind: str, text: str) -> None:
        """Count an error, publish it in the diagnostics, and log it, throttled."""
        self._counters.error(kind, text)
        self.get_logger().error(text, throttle_duration_sec=THROTTLE)


def main(args: list[str] | None = None) -> int:
    """Run the node; return the exit code."""
    return run("semantic", lambda: Nodes([SemanticNode()]), args)


if __name__ == "__main__":
    sys.exit(main())
