# SPDX-License-Identifier: Apache-2.0
"""Connect a page with one camera of a segmenter: subscribe to its outputs while the page is viewed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import PointStamped
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import UInt32
from std_srvs.srv import Trigger

from ..segment.overlay import object_colours
from ..web.commands import AddBox, AddPoint, Clear, CommandError, Remove
from ..web.prompt_set import PlacedPrompt, PromptSet
from ..web.state import ShownObject
from .prompt_messages import BACKGROUND
from .qos import latched, results
from .recent_images import stamp_ns
from .web_objects import ObjectClient

try:
    from vision_msgs.msg import Detection2D, Detection2DArray, LabelInfo, ObjectHypothesisWithPose
except ImportError:
    Detection2DArray = None

#: Before the ids of the page's prompts.
SENDER = "page/"
#: Seconds after an array of another sender for which a detector counts as running.
DETECTOR_TIMEOUT = 2.0
#: An id of the label map.
ID = re.compile(r"[0-9]{1,5}")
#: Encoding of the overlay.
ENCODING = "rgb8"
NO_MESSAGES = "vision_msgs is not installed (apt install ros-$ROS_DISTRO-vision-msgs): only points work"


class WebCamera:
    """Topics of one camera, from the first viewer to the last.

    Args:
        node: makes the subscriptions and publishers.
        base: name of the segmenter, and of the camera below it where there are several.
        prompts: of the page on this camera; they outlive the viewers.
        show_frame: called with stamp in nanoseconds and image ``(H, W, 3)`` uint8 RGB.
        on_change: called when the objects have changed.
        max_rate: frames a second that are shown.

    Attributes:
        objects: on the newest answered image.
    """

    def __init__(
        self,
        node: Node,
        base: str,
        prompts: PromptSet,
        show_frame: Callable[[int, np.ndarray], None],
        on_change: Callable[[], None],
        max_rate: float,
    ) -> None:
        self._node, self._base, self._prompts = node, base, prompts
        self._show_frame, self._on_change = show_frame, on_change
        self._period, self._last_shown = 1 / max_rate, 0.0
        self.objects: list[ShownObject] = []
        #: Height and width of the image; None before the first one.
        self._size: tuple[int, int] | None = None
        self._frame_id = ""
        self._detector_until = 0.0
        self._subscriptions = [
            node.create_subscription(Image, f"{base}/overlay", self._on_overlay, results(1))
        ]
        self._points = node.create_publisher(PointStamped, f"{base}/point", 10)
        self._removals = node.create_publisher(UInt32, f"{base}/remove_object", 10)
        self._publishers = [self._points, self._removals]
        self._clear = node.create_client(Trigger, f"{base}/clear_prompts")
        self._stored = ObjectClient(node, base, SENDER)
        self._arrays: Any = None
        if Detection2DArray is not None:
            self._arrays = node.create_publisher(Detection2DArray, f"{base}/prompts", 10)
            self._publishers.append(self._arrays)
            for kind, name, callback, qos in (
                (Detection2DArray, "detections", self._on_detections, results(1)),
                (LabelInfo, "label_info", self._on_names, latched()),
                (Detection2DArray, "prompts", self._on_prompts, results(1)),
            ):
                self._subscriptions.append(node.create_subscription(kind, f"{base}/{name}", callback, qos))

    def destroy(self) -> None:
        """Remove the topics and the client."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        for publisher in self._publishers:
            self._node.destroy_publisher(publisher)
        self._node.destroy_client(self._clear)
        self._stored.destroy()

    # From the segmenter ----------------------------------------------------------------------------

    def _on_overlay(self, message: Image) -> None:
        now = time.monotonic()
        if now - self._last_shown < self._period:
            return
        if message.encoding != ENCODING or len(message.data) != message.height * message.width * 3:
            self._node.get_logger().error(
                f"{self._base}/overlay: image is {message.encoding} with {len(message.data)} bytes; expected "
                f"{ENCODING}, {message.width} x {message.height}",
                throttle_duration_sec=5.0,
            )
            return
        self._last_shown = now
        image = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
        self._size, self._frame_id = image.shape[:2], message.header.frame_id
        self._show_frame(stamp_ns(message.header), image)

    def _on_detections(self, message: Any) -> None:
        self.objects = [_shown(each) for each in message.detections if ID.fullmatch(each.id)]
        self._prompts.observe({each.name: each.box for each in self.objects}, time.monotonic())
        self._on_change()

    def _on_names(self, message: Any) -> None:
        self._prompts.observe_names({each.class_name for each in message.class_map})

    def _on_prompts(self, message: Any) -> None:
        if any(not each.id.startswith(SENDER) for each in message.detections):
            self._detector_until = time.monotonic() + DETECTOR_TIMEOUT

    # To the segmenter ------------------------------------------------------------------------------

    def add_point(self, command: AddPoint, mode: str, on_rejected: Callable[[str], None]) -> None:
        """Publish a point.

        A new object is an array's, so that more points can follow. Beside a detector, which would replace
        the array, and in everything mode, which uses none, it is a click. A further point of a box that the
        segmenter stores changes that object.

        Args:
            command: the point.
            mode: of the segmenter.
            on_rejected: called with the reason if the segmenter does not take it.

        Raises:
            CommandError: It cannot be used now.
        """
        self._check_inside(command.x, command.y)
        is_stored = mode != "everything" and self._prompts.is_stored(command.target) and self._stored.is_ready
        is_click = mode == "everything" or self._has_detector() or Detection2DArray is None
        if is_click and not is_stored and (command.target or not command.is_foreground):
            raise CommandError(f"a further point of an object is not possible here: {self._reason(mode)}")
        if is_click and not is_stored:
            self._publish_click(command)
            return
        if not is_stored:
            self._check_listener(self._arrays)
        changed = self._prompts.add_point(
            command.x,
            command.y,
            is_foreground=command.is_foreground,
            target=command.target,
            now=time.monotonic(),
        )
        if changed is not None:
            self._put(changed, on_rejected, is_new=False)
        else:
            self._publish_prompts()

    def add_box(self, command: AddBox, mode: str, on_rejected: Callable[[str], None]) -> None:
        """Add an object by its box: by ``~/add_objects`` where that is there, else in the page's array.

        Args:
            command: the box.
            mode: of the segmenter.
            on_rejected: called with the reason if the segmenter does not take it.

        Raises:
            CommandError: It cannot be used now.
        """
        self._check_inside(command.x0, command.y0)
        self._check_inside(command.x1, command.y1)
        box, now = (command.x0, command.y0, command.x1, command.y1), time.monotonic()
        if mode != "everything" and self._stored.is_ready:
            self._put(self._prompts.add_box(box, now, is_stored=True), on_rejected, is_new=True)
            return
        if mode == "everything" or self._has_detector() or Detection2DArray is None:
            raise CommandError(f"a box is not possible here: {self._reason(mode)}")
        self._check_listener(self._arrays)
        self._prompts.add_box(box, now)
        self._publish_prompts()

    def remove(self, command: Remove) -> None:
        """Remove an object, prompted by this page or elsewhere.

        Raises:
            CommandError: The segmenter does not receive requests.
        """
        self._check_listener(self._removals)
        for each in self.objects:
            if each.identity == command.identity:
                self._prompts.remove(each.name)
                self._stored.forget(each.name)
        self._removals.publish(UInt32(data=command.identity))

    def clear(self, command: Clear) -> None:
        """Remove all prompted objects.

        Raises:
            CommandError: The segmenter has no such service.
        """
        if not self._clear.service_is_ready():
            raise CommandError(f"{self._base}/clear_prompts is not there: is the segmenter configured?")
        self._prompts.clear()
        self._clear.call_async(Trigger.Request())

    def _put(self, prompt: PlacedPrompt, on_rejected: Callable[[str], None], *, is_new: bool) -> None:
        """Let the segmenter store an object; forget it if that is rejected."""

        def rejected(reason: str) -> None:
            self._prompts.remove(prompt.name)
            on_rejected(reason)

        self._stored.put(prompt, rejected, is_new=is_new)

    def _publish_click(self, command: AddPoint) -> None:
        self._check_listener(self._points)
        message = PointStamped()
        message.header.frame_id = self._frame_id
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(command.stamp, 10**9)
        message.point.x, message.point.y = command.x, command.y
        self._points.publish(message)

    def _publish_prompts(self) -> None:
        message = Detection2DArray()
        message.header.frame_id = self._frame_id
        for prompt in self._prompts.placed():
            message.detections += _detections(prompt)
        self._arrays.publish(message)

    def _check_listener(self, publisher: Any) -> None:
        own = 1 if publisher is self._arrays else 0
        if publisher.get_subscription_count() <= own:
            raise CommandError(f"no subscriber on {publisher.topic_name}: is the segmenter configured?")

    def _check_inside(self, x: float, y: float) -> None:
        if self._size is None:
            raise CommandError("no image was shown yet; wait for the camera")
        height, width = self._size
        if not (0 <= x <= width and 0 <= y <= height):
            raise CommandError(f"({x:.0f}, {y:.0f}) is outside of the image of {width} x {height} pixels")

    def _has_detector(self) -> bool:
        return time.monotonic() < self._detector_until

    def _reason(self, mode: str) -> str:
        if Detection2DArray is None:
            return NO_MESSAGES
        if mode == "everything":
            return "the segmenter is in everything mode; switch to prompts first"
        topic = f"{self._base}/prompts"
        return f"a detector publishes on {topic}, and its boxes replace what this page would publish there"


def _shown(detection: Any) -> ShownObject:
    """Convert a Detection2D of ``~/detections``."""
    bbox = detection.bbox
    centre = getattr(bbox.center, "position", bbox.center)
    x, y, half_x, half_y = centre.x, centre.y, bbox.size_x / 2, bbox.size_y / 2
    best = detection.results[0].hypothesis if detection.results else None
    identity = int(detection.id)
    red, green, blue = object_colours(np.array([identity]))[0].tolist()
    return ShownObject(
        identity,
        best.class_id if best is not None else "",
        best.score if best is not None else 0.0,
        (x - half_x, y - half_y, x + half_x, y + half_y),
        f"#{red:02x}{green:02x}{blue:02x}",
    )


def _detections(prompt: PlacedPrompt) -> list[Any]:
    """Convert a prompt to detections of one id: a box, and a box of zero size for each point."""
    found = []
    if prompt.box is not None:
        found.append(_detection(prompt.name, prompt.name, prompt.box))
    for x, y, is_foreground in prompt.points:
        found.append(_detection(prompt.name, prompt.name if is_foreground else BACKGROUND, (x, y, x, y)))
    return found


def _detection(name: str, class_id: str, box: tuple[float, float, float, float]) -> Any:
    detection = Detection2D(id=SENDER + name)
    centre = getattr(detection.bbox.center, "position", detection.bbox.center)
    centre.x, centre.y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    detection.bbox.size_x, detection.bbox.size_y = box[2] - box[0], box[3] - box[1]
    hypothesis = ObjectHypothesisWithPose()
    hypothesis.hypothesis.class_id, hypothesis.hypothesis.score = class_id, 1.0
    detection.results.append(hypothesis)
    return detection
