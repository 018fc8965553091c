# SPDX-License-Identifier: Apache-2.0
"""``segment``, ``add_objects`` and ``remove_objects`` of one camera. Used by the executor's thread.

A request waits for its image and for its processing between two frames, without blocking the executor. Its
fields are checked like those of topics.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from ..segment import Masks, PromptError
from .camera_context import CameraContext
from .deferred_service import Reply
from .frame_request import RequestQueue
from .instances import Space
from .interfaces import HAS_INTERFACES
from .managed_entities import ManagedEntities
from .object_services import ObjectServices
from .pending_prompts import PendingPrompts
from .recent_images import RecentImages, stamp_ns
from .segment_task import Question, SegmentTask, fail
from .service_prompts import prompts_from_objects

#: Largest number of requests of one camera that wait, and the seconds after which one without a limit ends.
MAX_REQUESTS = 8
DEFAULT_TIMEOUT = 10.0
#: Largest number of prompts that everything mode takes.
MAX_PROMPTS = 1024


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A request that was accepted.

    Attributes:
        question: the request.
        reply: of the request.
        deadline: seconds of the monotonic clock.
        stamp: of the image to wait for, nanoseconds; 0: any.
    """

    question: Question
    reply: Reply
    deadline: float
    stamp: int


class RequestServices:
    """The services of one camera that need evitsam_interfaces; none without it.

    Args:
        entities: makes the services.
        context: of the camera.
        images: of the camera.
        requests: where frames with work to do are submitted.
        pending: takes the prompts of added objects.
        locate: returns where the objects of an image of the camera are; None where that is not known.
    """

    def __init__(
        self,
        entities: ManagedEntities,
        context: CameraContext,
        images: RecentImages,
        requests: RequestQueue,
        pending: PendingPrompts,
        locate: Callable[[Header, Masks], Space] | None = None,
    ) -> None:
        self._context, self._images, self._requests = context, images, requests
        self._locate = locate
        #: Requests without a reply, and those among them without their image.
        self._open: list[_Waiting] = []
        self._without_image: list[_Waiting] = []
        if HAS_INTERFACES:
            from evitsam_interfaces.srv import Segment

            entities.deferred_service(Segment, context.outputs + "segment", self._on_segment)
            ObjectServices(entities, context, images, pending)

    def on_image(self, message: Image | CompressedImage) -> None:
        """Give an image that has arrived to the requests that wait for it."""
        stamp = stamp_ns(message.header)
        for waiting in list(self._without_image):
            if waiting.stamp in (0, stamp):
                self._without_image.remove(waiting)
                self._submit(waiting, message)

    def expire(self) -> None:
        """End the requests that are out of time."""
        now = time.monotonic()
        for waiting in self._open:
            if now < waiting.deadline or waiting.reply.is_sent:
                continue
            if waiting in self._without_image:
                fail(waiting.reply, "NO_IMAGE", self._missing(waiting))
            else:
                fail(waiting.reply, "TIMEOUT", "the answer was not ready in time; raise timeout")
            self._context.diagnostics.count("requests_timed_out")
        self._forget_answered()

    def end_all(self, reason: str) -> None:
        """End all requests: the node is about to pause."""
        for waiting in self._open:
            fail(waiting.reply, "INACTIVE", reason)
        self._forget_answered()

    def _on_segment(self, request: Any, reply: Reply) -> None:
        try:
            self._accept(request, reply)
        except Exception as error:  # a fault of the node; reply so that the caller does not wait
            fail(reply, "FAILED", f"{type(error).__name__}: {error}")
            raise

    def _accept(self, request: Any, reply: Reply) -> None:
        self._context.diagnostics.count("requests_in")
        self._forget_answered()
        if not self._context.is_accepting():
            self._reject(reply, "INACTIVE", "the node is inactive or disabled; activate or enable it")
            return
        if len(self._open) >= MAX_REQUESTS:
            text = f"{MAX_REQUESTS} requests wait already; wait for a reply before the next request"
            self._reject(reply, "BUSY", text)
            return
        try:
            waiting = self._waiting(request, reply)
        except (PromptError, RequestError) as error:
            self._reject(reply, "BAD_REQUEST", str(error))
            return
        self._open.append(waiting)
        if _has_pixels(request.image):
            self._submit(waiting, request.image, is_own=False)
        elif (message := self._buffered(waiting.stamp)) is not None:
            self._submit(waiting, message)
        else:
            self._await_image(waiting)

    def _waiting(self, request: Any, reply: Reply) -> _Waiting:
        """Check a request.

        Raises:
            RequestError: naming the field and its value.
            PromptError: naming the object and the value.
        """
        objects = tuple(prompts_from_objects(request.prompts))
        if bool(objects) == request.everything:
            given = f"{len(objects)} prompts and everything: {str(request.everything).lower()}"
            raise RequestError(f"{given}; expected prompts or everything")
        if request.everything and request.multimask:
            raise RequestError("multimask is true with everything; expected it with prompts")
        limit = request.max_prompts or self._context.parameters().max_prompts
        if limit > MAX_PROMPTS:
            raise RequestError(f"max_prompts is {limit}; expected 0 to {MAX_PROMPTS}")
        if not (math.isfinite(request.timeout) and request.timeout >= 0):
            raise RequestError(
                f"timeout is {request.timeout}; expected seconds, or 0 for {DEFAULT_TIMEOUT:g}"
            )
        stamp = request.stamp.sec * 1_000_000_000 + request.stamp.nanosec
        if stamp and _has_pixels(request.image):
            raise RequestError("image and stamp are both given; expected one of them, or neither")
        if stamp < 0:
            raise RequestError(f"stamp is {stamp / 1e9:.3f} s; expected 0 or more")
        question = Question(objects, limit, request.multimask, request.return_label_map)
        deadline = time.monotonic() + (request.timeout or DEFAULT_TIMEOUT)
        return _Waiting(question, reply, deadline, stamp)

    def _buffered(self, stamp: int) -> Any | None:
        return self._images.find(stamp) if stamp else self._images.newest()

    def _await_image(self, waiting: _Waiting) -> None:
        if waiting.stamp and self._images.seconds_ahead(waiting.stamp) < 0:
            self._reject(waiting.reply, "NO_IMAGE", self._missing(waiting))
        else:
            self._without_image.append(waiting)

    def _submit(self, waiting: _Waiting, message: Image | CompressedImage, *, is_own: bool = True) -> None:
        """Let an image wait for its turn; ``is_own``: it is the camera's."""
        locate = self._locate if is_own else None
        task = SegmentTask(waiting.question, message, self._context.parameters(), waiting.reply, locate)
        if not self._requests.submit_task(message, task):
            self._reject(waiting.reply, "BUSY", "too many frames wait already; send fewer prompts")

    def _reject(self, reply: Reply, code: str, text: str) -> None:
        self._context.report_error("requests_rejected", f"{self._context.outputs}segment: {text}")
        fail(reply, code, text)

    def _missing(self, waiting: _Waiting) -> str:
        if not waiting.stamp:
            return "no image has arrived from the camera"
        return f"no image has the stamp {waiting.stamp / 1e9:.9f} s; {self._images}"

    def _forget_answered(self) -> None:
        self._open = [waiting for waiting in self._open if not waiting.reply.is_sent]
        self._without_image = [waiting for waiting in self._without_image if not waiting.reply.is_sent]


class RequestError(ValueError):
    """A field of a request cannot be used; the message names it."""


def _has_pixels(image: Image) -> bool:
    return bool(image.height or image.width or image.data)
