# SPDX-License-Identifier: Apache-2.0
"""The segmenter node: images and prompts in, label maps, masks, detections and overlays out.

A managed (lifecycle) node that configures and activates itself unless ``autostart`` is false. The executor's
thread takes messages; one inference thread owns the runtime and publishes, for one camera or for several.
"""

from __future__ import annotations

import sys
import time
import traceback
from dataclasses import dataclass

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import SetBool

from ..backends import engines_missing
from ..dense import SemanticSegmenter
from ..malloc import HeapWatch, give_back_memory, tune_malloc
from .camera_context import CameraContext
from .camera_pipeline import CameraPipeline
from .diagnostics import CameraDiagnostics
from .frame_request import FrameRequest, RequestQueue
from .frame_scheduler import FrameScheduler
from .inference import Inference
from .interfaces import HAS_INTERFACES, WHAT_IS_OFF
from .managed_entities import ManagedEntities
from .networks import open_networks
from .parameters import NodeParameters, SegmenterParameters
from .prompt_messages import MAX_OBJECTS
from .prompt_store import PromptStore
from .publish_point import PublishPointInput
from .publishers import Detection2DArray
from .run import Nodes, run

#: Seconds between two log lines of one kind.
THROTTLE = 2.0
#: Seconds between two log lines of a lasting warning.
WARN_EVERY = 60.0
#: Seconds between two checks for images and prompts that are too old.
TICK = 0.25
#: Largest length of an error text; a name in a message may have millions of characters.
MAX_ERROR_LENGTH = 500


@dataclass(frozen=True, eq=False)
class Configured:
    """Hold the parts that exist only while the node is configured; they start and stop together.

    Attributes:
        pipelines: one for each camera.
        inference: processes their frames.
        semantic: names their masks; None: masks have no names.
    """

    pipelines: tuple[CameraPipeline, ...]
    inference: Inference
    semantic: SemanticSegmenter | None = None

    def pause(self, reason: str) -> None:
        """Stop publishing; drop pending requests, with the reason."""
        for pipeline in self.pipelines:
            pipeline.pause(reason)

    def stop(self) -> None:
        """End the inference thread and close the networks."""
        for pipeline in self.pipelines:
            pipeline.release()
        if self.inference.stop() and self.semantic is not None:
            self.semantic.close()


class SegmenterNode(LifecycleNode):
    """Topics and parameters: see the README's tables.

    Args:
        subscribe: to the cameras' images; otherwise they come through :meth:`on_image`, in the same process.

    Attributes:
        cameras: one without a name, or those that the parameter ``cameras`` names.
    """

    def __init__(self, *, subscribe: bool = True) -> None:
        super().__init__("segmenter")
        self._node_parameters = NodeParameters(self)
        self.cameras = tuple(self._camera_context(name) for name in self._node_parameters.current.cameras)
        self._subscribe = subscribe
        #: None while the node is unconfigured.
        self._configured: Configured | None = None
        self._heap = HeapWatch()
        self._is_active = False
        self._is_enabled = True
        self._logged: dict[tuple[str, str], float] = {}
        self._entities = ManagedEntities(self, self._report_error_for_all)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        period = self._node_parameters.current.diagnostics_period_s
        # Diagnostics continue while simulated time stands still, and when the clock is set back.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(period, self._publish_diagnostics, clock=steady)
        self.create_timer(TICK, self._tick, clock=steady)

    def _camera_context(self, name: str) -> CameraContext:
        diagnostics = CameraDiagnostics(name)
        return CameraContext(
            name,
            diagnostics,
            PromptStore(MAX_OBJECTS),
            parameters=lambda: self._node_parameters.current,
            is_accepting=lambda: self._is_active and self._is_enabled,
            report_error=lambda kind, text: self._report_error(diagnostics, kind, text),
            warn=lambda text: self._warn(name, text),
            now_ns=lambda: self.get_clock().now().nanoseconds,
        )

    def on_image(self, message: Image | CompressedImage, camera: int = 0) -> None:
        """Receive an image of a camera from the same process; it is ignored while unconfigured."""
        if self._configured is not None:
            self._configured.pipelines[camera].on_image(message)

    # Lifecycle -------------------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Open the networks, and create topics, services and the inference thread."""
        try:
            self._configured = self._configure(self._node_parameters.current)
        except ValueError as error:
            self._report_error_for_all("configure", str(error))
            self.release()
            return TransitionCallbackReturn.FAILURE
        except Exception as error:  # rclpy would not log it
            if not rclpy.ok():  # Ctrl-C is not an error
                return TransitionCallbackReturn.FAILURE
            self.get_logger().error(traceback.format_exc())
            self._report_error_for_all("configure", f"{type(error).__name__}: {error}")
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    def _configure(self, parameters: SegmenterParameters) -> Configured:
        if Detection2DArray is None:
            self.get_logger().warning(
                "vision_msgs is not installed: ~/prompts, ~/detections and ~/label_info are off "
                "(apt install ros-$ROS_DISTRO-vision-msgs)"
            )
        if not HAS_INTERFACES:
            self.get_logger().warning(WHAT_IS_OFF)
        segmenter, semantic = open_networks(parameters)
        give_back_memory()
        if parameters.malloc_tuning and not tune_malloc():
            self.get_logger().info("malloc_tuning has no effect: this C library has no mallopt")
        choice = f" {segmenter.runtime.choice}" if segmenter.runtime.choice else ""
        self.get_logger().info(f"model {segmenter.bundle.name}; {segmenter.description}{choice}")
        if semantic is not None:
            self.get_logger().info(f"model {semantic.bundle.name}; {semantic.description}")
        scheduler: FrameScheduler[FrameRequest] = FrameScheduler(len(self.cameras), parameters.frame_policy)
        pipelines = tuple(
            CameraPipeline(
                self,
                camera,
                self._entities,
                segmenter,
                RequestQueue(scheduler, index),
                parameters,
                subscribe=self._subscribe,
                semantic=semantic,
            )
            for index, camera in enumerate(self.cameras)
        )
        if parameters.enable_3d_clicks:
            targets = [target for pipeline in pipelines for target in pipeline.point_targets]
            PublishPointInput(self, self._entities, targets, self._report_error_for_all)
        self._entities.service(SetBool, "~/enable", self._on_enable)
        inference = Inference(
            pipelines, scheduler, segmenter, parameters, self._report_error_for_all, self.get_logger()
        )
        if parameters.build_engines and engines_missing(segmenter.runtime):
            inference.build_engines()
        return Configured(pipelines, inference, semantic)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Process images from now on."""
        for pipeline in self._pipelines():
            pipeline.resume()
        self._is_active = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop processing images."""
        self._is_active = False
        self._pause("the node is deactivated")
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Remove all that was created at the configuration."""
        self.release()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Remove all that was created at the configuration."""
        self.release()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return to unconfigured after a transition that raised, so that it can be retried."""
        self.release()
        return TransitionCallbackReturn.SUCCESS

    def release(self) -> None:
        """End the inference thread, and remove topics and networks."""
        self._is_active = False
        if self._configured is not None:
            self._configured.stop()
            self._configured = None
        self._entities.destroy()

    def start(self) -> None:
        """Configure and activate, according to the parameter ``autostart``."""
        if not self._node_parameters.current.autostart:
            return
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._is_enabled = request.data
        if not request.data:
            self._pause("the node is disabled")
        response.success, response.message = True, "enabled" if request.data else "disabled"
        return response

    def _pause(self, reason: str) -> None:
        if self._configured is not None:
            self._configured.pause(reason)

    def _pipelines(self) -> tuple[CameraPipeline, ...]:
        return self._configured.pipelines if self._configured is not None else ()

    # Reports ---------------------------------------------------------------------------------------

    def _report_error(self, diagnostics: CameraDiagnostics, kind: str, text: str) -> None:
        """Count an error, publish it in the diagnostics, and log it, throttled for each camera and kind."""
        text = text if len(text) <= MAX_ERROR_LENGTH else f"{text[:MAX_ERROR_LENGTH]}…"
        diagnostics.error(kind, text)
        now, key = time.monotonic(), (diagnostics.camera, kind)
        if now - self._logged.get(key, -THROTTLE) >= THROTTLE:
            self._logged[key] = now
            self.get_logger().error(text)

    def _report_error_for_all(self, kind: str, text: str) -> None:
        """Report an error that concerns every camera."""
        for camera in self.cameras:
            camera.report_error(kind, text)

    def _warn(self, camera: str, text: str) -> None:
        text = f"camera {camera}: {text}" if camera else text
        self.get_logger().warning(text, throttle_duration_sec=WARN_EVERY)

    def callback_failed(self, error: Exception) -> None:
        """Report a callback that raised: a fault of the node, but no reason to stop."""
        self.get_logger().error("".join(traceback.format_exception(error)), throttle_duration_sec=THROTTLE)
        self._report_error_for_all("callback_errors", f"{type(error).__name__}: {error}")

    def _tick(self) -> None:
        for pipeline in self._pipelines():
            pipeline.tick()

    def _publish_diagnostics(self) -> None:
        if self._is_active:
            self._heap.look()
        state = "inactive" if not self._is_active else "active" if self._is_enabled else "disabled"
        backend, dropped, busy = "none", [0] * len(self.cameras), 0.0
        if self._configured is not None:
            inference = self._configured.inference
            backend, dropped, busy = inference.segmenter.description, inference.dropped, inference.busy_for
        name = self.get_fully_qualified_name()
        message = DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        message.status = [
            camera.diagnostics.status(name, backend, count, state, busy)
            for camera, count in zip(self.cameras, dropped, strict=True)
        ]
        self._diagnostics.publish(message)


def main(args: list[str] | None = None) -> int:
    """Run the node; return the exit code."""
    return run("segmenter", lambda: Nodes([SegmenterNode()]), args)


if __name__ == "__main__":
    sys.exit(main())
