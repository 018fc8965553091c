# SPDX-License-Identifier: Apache-2.0
"""The segmenter node: images and prompts in, label maps, masks, detections and overlays out.

A managed (lifecycle) node that configures and activates itself unless told not to. The executor's thread
swaps messages in; one inference thread owns the runtime and publishes, for one camera or for many.
"""

from __future__ import annotations

import sys
import time
import traceback
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_srvs.srv import SetBool

from ..backends import engines_missing
from ..malloc import HeapWatch, give_back_memory, tune_malloc
from ..segment import Segmenter
from .camera_pipeline import CameraPipeline
from .diagnostics import CameraDiagnostics
from .fastdds import use_profile
from .frame_scheduler import FrameScheduler
from .inference import Inference
from .managed_entities import ManagedEntities
from .parameters import declare_parameters, values
from .pending_prompts import FrameRequest
from .publish_point import PublishPointInput
from .publishers import Detection2DArray
from .runtime import ros, spin, started

#: Seconds between two log lines of one kind.
THROTTLE = 2.0
#: Seconds between two looks at what waits for too long.
TICK = 0.25
#: Characters of one; a name in a message may have millions.
LONGEST = 500


class SegmenterNode(LifecycleNode):
    """Topics and parameters: see the README's tables.

    Args:
        subscribe: to the cameras' images; else they come through :meth:`CameraPipeline.on_image` of
            :attr:`cameras`, from the same process.

    Attributes:
        cameras: one without a name, or those that the parameter ``cameras`` names.
        accepts: whether images are wanted now.
    """

    def __init__(self, subscribe: bool = True) -> None:
        super().__init__("segmenter")
        declare_parameters(self)
        names = [name for name in self.get_parameter("cameras").value if name] or [""]
        self.cameras = [CameraPipeline(self, name, self._report_error) for name in names]
        self._subscribe = subscribe
        self._inference: Inference | None = None
        self._heap = HeapWatch()
        self._active = False
        self._enabled = True
        self._logged: dict[tuple[str, str], float] = {}
        self._entities = ManagedEntities(self, self._report_error_for_all)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        period = self.get_parameter("diagnostics_period_s").value
        # The heart beats while simulated time stands still, and when the clock is set back.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(period, self._publish_diagnostics, clock=steady)
        self.create_timer(TICK, self._tick, clock=steady)

    @property
    def accepts(self) -> bool:
        return self._active and self._enabled

    # Lifecycle -------------------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            self._configure(values(self))
        except ValueError as error:
            self._report_error_for_all("configure", str(error))
            self.release()
            return TransitionCallbackReturn.FAILURE
        except Exception as error:  # rclpy would not say what it was
            if not rclpy.ok():  # Ctrl-C: nothing is wrong
                return TransitionCallbackReturn.FAILURE
            self.get_logger().error(traceback.format_exc())
            self._report_error_for_all("configure", f"{type(error).__name__}: {error}")
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    def _configure(self, options: dict[str, Any]) -> None:
        if Detection2DArray is None:
            self.get_logger().warning(
                "vision_msgs is not installed: ~/prompts, ~/detections and ~/label_info are off "
                "(apt install ros-$ROS_DISTRO-vision-msgs)"
            )
        segmenter = Segmenter.open(options["model"], options["backend"], options["threads"])
        give_back_memory()
        if options["malloc_tuning"] and not tune_malloc():
            self.get_logger().info("malloc_tuning has no effect: this C library has no mallopt")
        self.get_logger().info(f"model {segmenter.bundle.name}; {segmenter.description}")
        turns: FrameScheduler[FrameRequest] = FrameScheduler(len(self.cameras), options["frame_policy"])
        for index, camera in enumerate(self.cameras):
            camera.configure(self._entities, segmenter, options, turns, index, subscribe=self._subscribe)
        if options["clicks_in_space"]:
            PublishPointInput(self, self._entities, self.cameras, self._report_error_for_all)
        self._entities.service(SetBool, "~/enable", self._on_enable)
        self._inference = Inference(
            self.cameras,
            turns,
            segmenter,
            options,
            self._report_error,
            self._report_error_for_all,
            self.get_logger(),
        )
        if options["build_engines"] and engines_missing(segmenter.runtime):
            self._inference.build_engines()

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        for camera in self.cameras:
            camera.resume()
        self._active = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._active = False
        self._pause("the node is deactivated")
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.release()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.release()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After a transition that raised: unconfigured again, so that it can be tried anew."""
        self.release()
        return TransitionCallbackReturn.SUCCESS

    def release(self) -> None:
        """End the inference thread, and take topics and networks away."""
        self._active = False
        self._pause("the node is cleaned up")
        if self._inference is not None:
            self._inference.stop()
            self._inference = None
        for camera in self.cameras:
            camera.release()
        self._entities.destroy()

    def start(self) -> None:
        """Configure and activate, as the parameter ``autostart`` asks."""
        if not self.get_parameter("autostart").value:
            return
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._enabled = request.data
        if not request.data:
            self._pause("the node is disabled")
        response.success, response.message = True, "enabled" if request.data else "disabled"
        return response

    def _pause(self, reason: str) -> None:
        for camera in self.cameras:
            camera.pause(reason)

    # Reports ---------------------------------------------------------------------------------------

    def _report_error(self, health: CameraDiagnostics, reason: str, text: str) -> None:
        """Count it, put it in the diagnostics, and log it at most every two seconds a reason."""
        text = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
        health.error(reason, text)
        now, key = time.monotonic(), (health.camera, reason)
        if now - self._logged.get(key, -THROTTLE) >= THROTTLE:
            self._logged[key] = now
            self.get_logger().error(text)

    def _report_error_for_all(self, reason: str, text: str) -> None:
        """What concerns every camera."""
        for camera in self.cameras:
            self._report_error(camera.health, reason, text)

    def callback_failed(self, error: Exception) -> None:
        """A callback raised what it should not have: a mistake of ours, and no reason to stop."""
        self.get_logger().error("".join(traceback.format_exception(error)), throttle_duration_sec=THROTTLE)
        self._report_error_for_all("callback_errors", f"{type(error).__name__}: {error}")

    def _tick(self) -> None:
        for camera in self.cameras:
            camera.tick()

    def _publish_diagnostics(self) -> None:
        if self._active:
            self._heap.look()
        state = "inactive" if not self._active else "active" if self._enabled else "disabled"
        inference = self._inference
        backend = inference.segmenter.description if inference else "none"
        dropped = inference.worker.turns.dropped if inference else [0] * len(self.cameras)
        busy = inference.worker.busy_for if inference else 0.0
        name = self.get_fully_qualified_name()
        message = DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        message.status = [
            camera.health.status(name, backend, count, state, busy)
            for camera, count in zip(self.cameras, dropped, strict=True)
        ]
        self._diagnostics.publish(message)


def main(args: list[str] | None = None) -> int:
    use_profile()
    with ros(args):
        node = started("segmenter", SegmenterNode)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        try:
            node.start()
            spin(executor, node.callback_failed)
        finally:
            node.release()
            executor.shutdown()
            node.destroy_node()
    return 0


if __name__ == "__main__":
    sys.exit(main())
