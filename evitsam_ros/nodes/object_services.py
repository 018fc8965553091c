# SPDX-License-Identifier: Apache-2.0
"""``add_objects`` and ``remove_objects`` of one camera: prompted objects by name, with a reply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sensor_msgs.msg import CompressedImage

from ..io.compressed_image import image_size
from ..io.encodings import ImageError
from ..segment import PromptError
from .camera_context import CameraContext
from .managed_entities import ManagedEntities
from .pending_prompts import PendingPrompts
from .prompt_messages import ObjectPrompt
from .recent_images import RecentImages
from .service_prompts import prompts_from_objects


class ObjectServices:
    """Services that change the prompted objects. They are added and removed all or none.

    Args:
        entities: makes the services.
        context: of the camera; owns the prompts.
        images: of the camera.
        pending: takes the prompts.
    """

    def __init__(
        self,
        entities: ManagedEntities,
        context: CameraContext,
        images: RecentImages,
        pending: PendingPrompts,
    ) -> None:
        from evitsam_interfaces.msg import Status
        from evitsam_interfaces.srv import AddObjects, RemoveObjects

        self._context, self._images, self._pending = context, images, pending
        self._status = Status
        entities.service(AddObjects, context.outputs + "add_objects", self._on_add)
        entities.service(RemoveObjects, context.outputs + "remove_objects", self._on_remove)

    def _on_add(self, request: Any, response: Any) -> Any:
        topic = self._context.outputs + "add_objects"
        try:
            objects = prompts_from_objects(request.objects)
            self._check_new(objects)
        except PromptError as error:
            return self._rejected(response, topic, "BAD_REQUEST", str(error))
        stamp = request.stamp.sec * 1_000_000_000 + request.stamp.nanosec
        if stamp and self._images.find(stamp) is None:
            text = f"no image has the stamp {stamp / 1e9:.9f} s; {self._images}"
            return self._rejected(response, topic, "NO_IMAGE", text)
        try:
            self._check_places(objects, stamp)
            response.ids = self._pending.add_objects(topic, objects, stamp)
        except PromptError as error:
            return self._rejected(response, topic, "BAD_REQUEST", str(error))
        return response

    def _on_remove(self, request: Any, response: Any) -> Any:
        topic = self._context.outputs + "remove_objects"
        if not request.names and not request.ids:
            text = "neither names nor ids are given; expected one or more"
            return self._rejected(response, topic, "BAD_REQUEST", text)
        by_name, known = self._pending.ids_by_name(), set(self._pending.ids())
        missing = [repr(name) for name in request.names if name not in by_name]
        missing += [str(identity) for identity in request.ids if identity not in known]
        if missing:
            names = {identity: name for name, identity in by_name.items()}
            there = [f"{i} {names[i]!r}" if i in names else str(i) for i in sorted(known)]
            text = f"no object is {', '.join(missing)}; there are: {', '.join(there) or 'none'}"
            return self._rejected(response, topic, "NOT_FOUND", text)
        wanted = {*(by_name[name] for name in request.names), *request.ids}
        response.removed = sorted(i for i in wanted if self._pending.remove(i))
        return response

    def _check_new(self, objects: Sequence[ObjectPrompt]) -> None:
        if not objects:
            raise PromptError("no object is given; expected one or more")
        known = self._pending.ids_by_name()
        for index, item in enumerate(objects):
            if item.sender_id in known:
                owner = f"object {known[item.sender_id]} has the name {item.sender_id!r} already"
                raise PromptError(f"object {index}: {owner}; remove it before")

    def _check_places(self, objects: Sequence[ObjectPrompt], stamp: int) -> None:
        """Check prompts against the size of their image, where it is known before it is decoded."""
        image = self._images.find(stamp) if stamp else self._images.newest()
        if image is None:
            return
        try:
            size = image_size(image) if isinstance(image, CompressedImage) else (image.height, image.width)
        except ImageError:  # reported when it is processed
            return
        for index, item in enumerate(objects):
            try:
                item.prompt.clipped(size)
            except PromptError as error:
                raise PromptError(f"object {index}: {error}") from error

    def _rejected(self, response: Any, topic: str, code: str, text: str) -> Any:
        self._context.report_error("requests_rejected", f"{topic}: {text}")
        response.status = self._status(code=getattr(self._status, code), message=text)
        return response
