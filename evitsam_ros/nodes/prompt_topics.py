# SPDX-License-Identifier: Apache-2.0
"""The topics and services that say what a camera is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from geometry_msgs.msg import Point, PointStamped
from std_msgs.msg import UInt32
from std_srvs.srv import Trigger

from ..segment import PromptError
from .entities import Entities
from .incoming_prompts import MAX_OBJECTS, prompt_from_click, prompts_from_detections
from .prompt_store import PromptStore

try:
    from vision_msgs.msg import Detection2DArray
except ImportError:
    Detection2DArray = None

#: Brings prompts into the store, at the time of the frame that they are meant for.
Change = Callable[[], None]


class PromptTopics:
    """``prompts``, ``point``, ``pixel``, ``remove_object`` and ``clear_prompts`` of one camera.

    Args:
        entities: makes the subscriptions and the service.
        prefix: before every name: ``~/``, or ``~/CAMERA/``.
        store: what is asked for.
        ask: told (topic, header, change, replaces) what is asked of the frame with the header's stamp;
            ``replaces``: what the topic asked for before is void.
        refuse: told (kind, text) of what cannot be meant.
        frame_id: the coordinate frame of the camera's newest image, empty when there is none.
        removed: told of every object that is taken away by its id.
    """

    def __init__(
        self,
        entities: Entities,
        prefix: str,
        store: PromptStore,
        ask: Callable[[str, Any, Change, bool], None],
        refuse: Callable[[str, str], None],
        frame_id: Callable[[], str],
        removed: Callable[[], None],
    ) -> None:
        self._prefix, self._store = prefix, store
        self._ask, self._refuse, self._frame_id, self._removed = ask, refuse, frame_id, removed
        if Detection2DArray is not None:
            entities.subscription(Detection2DArray, prefix + "prompts", self._on_detections, 10)
        entities.subscription(PointStamped, prefix + "point", self._on_point, 10)
        entities.subscription(Point, prefix + "pixel", self._on_pixel, 10)
        entities.subscription(UInt32, prefix + "remove_object", self._on_remove, 10)
        entities.service(Trigger, prefix + "clear_prompts", self._on_clear)

    def _on_detections(self, message: Any) -> None:
        topic = self._prefix + "prompts"
        try:
            prompts = prompts_from_detections(message)
        except PromptError as error:
            self._refuse("bad_prompts", f"{topic}: {error}")
            return
        self._ask(topic, message.header, lambda: self._store.detect(prompts), True)

    def _on_point(self, message: PointStamped) -> None:
        topic, frame = self._prefix + "point", message.header.frame_id
        if frame and self._frame_id() and frame != self._frame_id():
            self._refuse(
                "bad_prompts",
                f"{topic}: the click is in frame {frame!r}; expected pixels in the camera's frame "
                f"{self._frame_id()!r} (clicks in space go to clicked_point)",
            )
            return
        self.click(topic, message.header, message.point.x, message.point.y)

    def _on_pixel(self, message: Point) -> None:
        self.click(self._prefix + "pixel", None, message.x, message.y)

    def click(self, topic: str, header: Any, x: float, y: float) -> None:
        """A foreground point at a pixel, of the frame with the header's stamp or of the newest."""
        try:
            prompt = prompt_from_click(x, y)
        except PromptError as error:
            self._refuse("bad_prompts", f"{topic}: {error}")
            return

        def change() -> None:
            if not self._store.click(prompt):
                text = f"{topic}: {MAX_OBJECTS} clicks are kept already; call {self._prefix}clear_prompts"
                self._refuse("bad_prompts", text)

        self._ask(topic, header, change, False)

    def _on_remove(self, message: UInt32) -> None:
        if self._store.remove(message.data):
            self._removed()
        else:
            known = ", ".join(str(item.identity) for item in self._store.all()) or "none"
            self._refuse(
                "bad_prompts",
                f"{self._prefix}remove_object: no prompted object has id {message.data}; there are: {known}",
            )

    def _on_clear(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = True, f"{self._store.clear()} prompts cleared"
        return response
