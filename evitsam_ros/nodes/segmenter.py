# SPDX-License-Identifier: Apache-2.0
"""The segmenter node: images and prompts in, label maps, masks, detections and overlays out.

A managed (lifecycle) node that configures and activates itself unless told not to. The executor's thread
swaps messages in; one inference thread owns the runtime and publishes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import replace

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Point, PointStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import SetBool, Trigger

from ..backends import engines_missing
from ..encodings import ImageError, compressed_to_frame, image_to_frame
from ..malloc import tune_malloc
from ..segment import LatencyBudget, Masks, Prompt, PromptError, Segmenter, draw_label_map
from ..tensorrt.background import EngineSwitch, build_command
from ..tracking import TrackedCamera
from . import outgoing
from .health import Health
from .incoming_prompts import MAX_OBJECTS, prompt_from_click, prompts_from_detections
from .lifetime import ros
from .parameters import declare_parameters, values
from .prompt_store import Prompted, PromptStore
from .qos import latched, newest_only, results
from .rare_encodings import with_cv_bridge
from .space import SpaceOutput
from .worker import Worker

try:
    from vision_msgs.msg import Detection2DArray, LabelInfo
except ImportError:  # the node works without; it says so when it configures
    Detection2DArray = LabelInfo = None

#: Seconds between two log lines of one kind.
THROTTLE = 2.0


class SegmenterNode(LifecycleNode):
    """Topics and parameters: see the README's tables."""

    def __init__(self) -> None:
        super().__init__("segmenter")
        declare_parameters(self)
        self.health = Health()
        self._segmenter: Segmenter | None = None
        self._camera: TrackedCamera | None = None
        self._worker: Worker | None = None
        self._switch: EngineSwitch[Segmenter] | None = None
        self._space: SpaceOutput | None = None
        self._active = False
        self._enabled = True
        self._prompts = PromptStore(MAX_OBJECTS)
        self._last_frame_time = 0.0
        self._last_mode: tuple[str, bool] | None = None
        self._last_names: dict[int, str] | None = None
        self._budget: LatencyBudget | None = None
        self._logged: dict[str, float] = {}
        self._owned: list = []
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        period = self.get_parameter("diagnostics_period_s").value
        self.create_timer(period, self._publish_diagnostics)

    # Lifecycle -------------------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        options = values(self)
        if options["malloc_tuning"] and not tune_malloc():
            self.get_logger().info("malloc_tuning has no effect: this C library has no mallopt")
        try:
            self._segmenter = Segmenter.open(options["model"], options["backend"], options["threads"])
        except ValueError as error:
            self._refuse("configure", str(error))
            return TransitionCallbackReturn.FAILURE
        self._camera = TrackedCamera(self._segmenter)
        self.get_logger().info(f"model {self._segmenter.bundle.name}; {self._segmenter.description}")
        if options["build_engines"] and engines_missing(self._segmenter.runtime):
            self._build_engines(options)
        self._create_publishers()
        self._create_subscriptions(options)
        if options["depth"]:
            self._space = SpaceOutput(self, options, self._refuse, self._owned)
        self._worker = Worker(self._segment, self._failed, options["frame_policy"])
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._active = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._active = False
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def _release(self) -> None:
        self._active = False
        if self._worker is not None:
            self._worker.stop()
            self._worker = None
        if self._switch is not None:
            self._switch.stop()
            self._switch = None
        for destroy, entity in self._owned:
            destroy(entity)
        self._owned.clear()
        self._segmenter = self._camera = self._space = None

    def _build_engines(self, options: dict) -> None:
        """Build engines in a process of its own; the first frame after they are open is theirs."""
        bundle = self._segmenter.bundle.folder
        self.get_logger().info("building TensorRT engines meanwhile; this takes minutes, once")
        self._switch = EngineSwitch(
            build_command(bundle),
            lambda: Segmenter.open(bundle, "tensorrt", options["threads"]),
            lambda reason: self._refuse("engine_build", reason),
        )

    def start(self) -> None:
        """Configure and activate, as the parameter ``autostart`` asks."""
        if not self.get_parameter("autostart").value:
            return
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    # Topics ----------------------------------------------------------------------------------------

    def _create_publishers(self) -> None:
        def publisher(kind: type, topic: str, qos):
            created = self.create_lifecycle_publisher(kind, topic, qos)
            self._owned.append((self.destroy_lifecycle_publisher, created))
            return created

        self._label_map = publisher(Image, "~/label_map", results())
        self._mask = publisher(Image, "~/mask", results())
        self._overlay = publisher(Image, "~/overlay", results())
        self._boxes = self._label_info = None
        self._last_names = None
        if Detection2DArray is None:
            self.get_logger().warning(
                "vision_msgs is not installed: ~/prompts, ~/detections and ~/label_info are off "
                "(apt install ros-$ROS_DISTRO-vision-msgs)"
            )
            return
        self._boxes = publisher(Detection2DArray, "~/detections", results())
        self._label_info = publisher(LabelInfo, "~/label_info", latched())

    def _create_subscriptions(self, options: dict) -> None:
        def subscribe(kind: type, topic: str, callback, qos):
            self._owned.append(
                (self.destroy_subscription, self.create_subscription(kind, topic, callback, qos))
            )

        camera_qos = newest_only(options["reliability"])
        if options["image_transport"] == "compressed":
            subscribe(CompressedImage, "image/compressed", self._on_image, camera_qos)
        else:
            subscribe(Image, "image", self._on_image, camera_qos)
        if Detection2DArray is not None:
            subscribe(Detection2DArray, "~/prompts", self._on_detections, 10)
        subscribe(PointStamped, "~/point", self._on_point, 10)
        subscribe(Point, "~/pixel", self._on_pixel, 10)
        for kind, name, callback in (
            (SetBool, "~/enable", self._on_enable),
            (Trigger, "~/clear_prompts", self._on_clear),
        ):
            self._owned.append((self.destroy_service, self.create_service(kind, name, callback)))

    def _on_image(self, message: Image | CompressedImage) -> None:
        if not (self._active and self._enabled) or self._worker is None:
            return
        now = time.monotonic()
        rate = self.get_parameter("max_rate_hz").value
        self.health.frame_in()
        if rate > 0 and now - self._last_frame_time < 0.95 / rate:
            self.health.count("frames_skipped_by_max_rate")
            return
        self._last_frame_time = now
        self._worker.slot.put(message)

    def _on_detections(self, message) -> None:
        try:
            prompts = prompts_from_detections(message)
        except PromptError as error:
            self._refuse("bad_prompts", f"~/prompts: {error}")
            return
        self.health.count("prompts_in", len(prompts))
        self._prompts.detect(prompts)

    def _on_point(self, message: PointStamped) -> None:
        self._click("~/point", message.point)

    def _on_pixel(self, message: Point) -> None:
        self._click("~/pixel", message)

    def _click(self, topic: str, point: Point) -> None:
        try:
            prompt = prompt_from_click(point.x, point.y)
        except PromptError as error:
            self._refuse("bad_prompts", f"{topic}: {error}")
            return
        if self._prompts.click(prompt):
            self.health.count("prompts_in")
        else:
            self._refuse(
                "bad_prompts", f"{topic}: {MAX_OBJECTS} clicks are kept already; call ~/clear_prompts"
            )

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._enabled = request.data
        response.success, response.message = True, "enabled" if request.data else "disabled"
        return response

    def _on_clear(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = True, f"{self._prompts.clear()} prompts cleared"
        return response

    # Inference thread ------------------------------------------------------------------------------

    def _segment(self, message: Image | CompressedImage) -> None:
        listeners = self._listeners()
        if not listeners:
            self.health.count("frames_without_listener")
            return
        if self._switch is not None and (engines := self._switch.take()) is not None:
            self._segmenter = self._camera.segmenter = engines
            self.get_logger().info(f"switched: {engines.description}")
        start = time.perf_counter()
        compressed = isinstance(message, CompressedImage)
        try:
            frame = compressed_to_frame(message) if compressed else image_to_frame(message, with_cv_bridge)
        except ImageError as error:
            self._refuse("bad_images", f"{'image/compressed' if compressed else 'image'}: {error}")
            return
        converted = time.perf_counter()
        masks, names = self._masks(frame)
        segmented = time.perf_counter()
        self._publish(message.header, frame, masks, names, listeners)
        end = time.perf_counter()
        stages = {"convert": converted - start, **self._segmenter.timings}
        self.health.frame_out({**stages, "publish": end - segmented, "total": end - start})

    def _masks(self, frame) -> tuple[Masks, dict[int, str]]:
        segmenter, camera = self._segmenter, self._camera
        mode, track = self.get_parameter("mode").value, self.get_parameter("track").value
        if (mode, track) != self._last_mode:
            self._last_mode = (mode, track)
            self.health.forget_timings()
            camera.reset()
        if mode == "everything":
            limits = segmenter.thresholds().but(**self._threshold_parameters())
            answer = camera.everything if track else segmenter.everything
            budget = self._latency_budget()
            masks = answer(frame, self.get_parameter("top_n").value, limits, budget=budget)
            self.health.note("prompts_left_out", [budget.left_out if budget else 0])
            return masks, dict.fromkeys(masks.object_ids.tolist(), "")
        wanted = self._prompts.all()
        known = camera.known if track else {}
        prompts = self._usable(wanted, frame.size, known)
        if not prompts:
            camera.reset()
            self.health.note("objects_lost", [])
            return segmenter.nothing(frame), {}
        if track:
            masks = camera.prompted(frame, prompts)
            self.health.note("objects_lost", camera.follower.lost)
        else:
            clipped = [replace(p.clipped(frame.size), object_id=i) for i, p in prompts.items()]
            masks = segmenter.decode(segmenter.embed(frame), clipped)
        self.health.count("prompts_answered", len(masks))
        return masks, {item.identity: item.name for item in wanted if item.identity in prompts}

    def _latency_budget(self) -> LatencyBudget | None:
        seconds = self.get_parameter("latency_budget_ms").value / 1e3
        if seconds <= 0:
            self._budget = None
        elif self._budget is None:
            self._budget = LatencyBudget(seconds)
        else:
            self._budget.seconds = seconds
        return self._budget

    def _usable(
        self, wanted: list[Prompted], size: tuple[int, int], known: Mapping[int, Prompt]
    ) -> dict[int, Prompt]:
        """The prompts that fit this frame, by id, and those ``known`` from earlier ones, which have moved.

        The others are reported and dropped.
        """
        prompts = {}
        for item in wanted:
            try:
                if known.get(item.identity) is not item.prompt:
                    item.prompt.clipped(size)
                prompts[item.identity] = item.prompt
            except PromptError as error:
                self._refuse("bad_prompts", f"prompt dropped: {error}")
                self._prompts.drop(item)
        return prompts

    def _threshold_parameters(self) -> dict[str, float | None]:
        names = {"score": "score_threshold", "stability": "stability_threshold", "nms": "nms_threshold"}
        found = {key: self.get_parameter(name).value for key, name in names.items()}
        return {key: value if value >= 0 else None for key, value in found.items()}

    def _listeners(self) -> set[str]:
        publishers = {
            "label_map": self._label_map,
            "mask": self._mask,
            "overlay": self._overlay,
            "detections": self._boxes,
        }
        listeners = {
            name
            for name, publisher in publishers.items()
            if publisher is not None and publisher.get_subscription_count() > 0
        }
        return listeners | (self._space.listeners() if self._space is not None else set())

    def _publish(self, header, frame, masks: Masks, names: dict[int, str], listeners: set[str]) -> None:
        if listeners - {"detections"}:
            labels = masks.label_map()
            if "label_map" in listeners:
                self._label_map.publish(outgoing.label_map_message(header, labels))
            if "mask" in listeners:
                self._mask.publish(outgoing.mask_message(header, labels))
            if "overlay" in listeners:
                picture = draw_label_map(frame.image, labels, self.get_parameter("overlay_alpha").value)
                self._overlay.publish(outgoing.image_message(header, picture, "rgb8"))
            if self._space is not None:
                self._space.publish(header, frame.image, masks, labels)
        if "detections" in listeners:
            self._boxes.publish(outgoing.detections_message(header, masks, names))
        if self._label_info is not None and names != self._last_names:
            # Latched: published when it changes, whether or not anybody listens yet.
            self._last_names = names
            self._label_info.publish(outgoing.label_info_message(header, names, 0.0))

    def _failed(self, error: Exception) -> None:
        if rclpy.ok():
            self._refuse("inference_errors", f"{type(error).__name__}: {error}")

    # Reports ---------------------------------------------------------------------------------------

    def _refuse(self, reason: str, text: str) -> None:
        """Count it, put it in the diagnostics, and log it at most every two seconds a reason."""
        self.health.error(reason, text)
        now = time.monotonic()
        if now - self._logged.get(reason, -THROTTLE) >= THROTTLE:
            self._logged[reason] = now
            self.get_logger().error(text)

    def _publish_diagnostics(self) -> None:
        state = "inactive" if not self._active else "active" if self._enabled else "disabled"
        backend = self._segmenter.description if self._segmenter else "none"
        dropped = self._worker.slot.dropped if self._worker else 0
        stamp = self.get_clock().now().to_msg()
        name = self.get_fully_qualified_name()
        self._diagnostics.publish(self.health.message(name, stamp, backend, dropped, state))


def main(args: list[str] | None = None) -> int:
    with ros(args):
        try:
            node = SegmenterNode()
        except (ValueError, rclpy.exceptions.ParameterException) as error:
            print(f"segmenter: {error}", file=sys.stderr)
            return 2
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        try:
            node.start()
            executor.spin()
        finally:
            node._release()
            executor.shutdown()
            node.destroy_node()
    return 0


if __name__ == "__main__":
    sys.exit(main())
