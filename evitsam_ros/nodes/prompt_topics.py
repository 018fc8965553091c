# SPDX-License-Identifier: Apache-2.0
"""The topics and the service by which one camera is prompted."""

from __future__ import annotations

from typing import Any

from geometry_msgs.msg import Point, PointStamped
from std_msgs.msg import UInt32
from std_srvs.srv import Trigger

from ..segment import PromptError
from .camera_context import CameraContext
from .managed_entities import ManagedEntities
from .object_clicks import ObjectClicks
from .pending_prompts import PendingPrompts
from .prompt_messages import ObjectPrompt, prompt_from_click, prompts_from_detections
from .recent_images import RecentImages

try:
    from vision_msgs.msg import Detection2DArray
except ImportError:
    Detection2DArray = None


class PromptTopics:
    """``prompts``, ``point``, ``pixel``, ``remove_object`` and ``clear_prompts`` of one camera.

    Args:
        entities: makes the subscriptions and the service.
        context: of the camera.
        images: of the camera; the newest one names its coordinate frame.
        pending: takes the prompts.
        clicks: takes clicks on objects that are shown.
    """

    def __init__(
        self,
        entities: ManagedEntities,
        context: CameraContext,
        images: RecentImages,
        pending: PendingPrompts,
        clicks: ObjectClicks,
    ) -> None:
        prefix = self._prefix = context.outputs
        self._report_error = context.report_error
        self._images, self._pending, self._clicks = images, pending, clicks
        if Detection2DArray is not None:
            entities.subscription(Detection2DArray, prefix + "prompts", self._on_detections, 10)
        entities.subscription(PointStamped, prefix + "point", self._on_point, 10)
        entities.subscription(Point, prefix + "pixel", self._on_pixel, 10)
        entities.subscription(UInt32, prefix + "remove_object", self._on_remove, 10)
        entities.service(Trigger, prefix + "clear_prompts", self._on_clear)

    def _on_detections(self, message: Any) -> None:
        topic = self._prefix + "prompts"
        if not self._is_of_camera(topic, message.header.frame_id, "detections are"):
            return
        try:
            objects = prompts_from_detections(message)
        except PromptError as error:
            self._report_error("bad_prompts", f"{topic}: {error}")
            return
        self._pending.submit(topic, message.header, objects, is_array=True)

    def _on_point(self, message: PointStamped) -> None:
        topic = self._prefix + "point"
        if self._is_of_camera(topic, message.header.frame_id, "click is"):
            self.click(topic, message.header, message.point.x, message.point.y)

    def _is_of_camera(self, topic: str, frame: str, subject: str) -> bool:
        """Return whether pixels are those of this camera; if not, report it. No frame is any camera's."""
        newest = self._images.newest()
        expected = newest.header.frame_id if newest is not None else ""
        if not frame or not expected or frame.lstrip("/") == expected.lstrip("/"):
            return True
        self._report_error(
            "bad_prompts",
            f"{topic}: the {subject} in frame {frame!r}; expected pixels in the camera's frame {expected!r} "
            "(points in space go to clicked_point)",
        )
        return False

    def _on_pixel(self, message: Point) -> None:
        self.click(self._prefix + "pixel", None, message.x, message.y)

    def click(self, topic: str, header: Any, x: float, y: float) -> None:
        """Select the object that is shown at a pixel, or add one there.

        A new object is that of the frame with the header's stamp, or of the newest.
        """
        try:
            prompt = prompt_from_click(x, y)
        except PromptError as error:
            self._report_error("bad_prompts", f"{topic}: {error}")
            return
        if not self._clicks.select(topic, x, y):
            self._pending.submit(topic, header, [ObjectPrompt(prompt)], is_array=False)

    def _on_remove(self, message: UInt32) -> None:
        known = ", ".join(map(str, self._pending.ids())) or "none"
        if not self._pending.remove(message.data):
            self._report_error(
                "bad_prompts",
                f"{self._prefix}remove_object: no prompted object has id {message.data}; there are: {known}",
            )

    def _on_clear(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = True, f"{self._pending.clear()} prompts cleared"
        return response
