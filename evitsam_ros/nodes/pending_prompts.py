# SPDX-License-Identifier: Apache-2.0
"""Match prompt updates with images: each waits for its image, then for its processing, or applies at once.

Used by the executor's thread, unless a method says otherwise. Waiting updates are in the
:class:`PromptStore`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from ..segment import PromptError
from .camera_context import CameraContext
from .frame_request import FrameRequest, RequestQueue
from .frame_scheduler import MAX_PROMPTED_REQUESTS
from .prompt_messages import ObjectPrompt
from .prompt_updates import PromptUpdate
from .recent_images import RecentImages, stamp_ns

#: Largest number of updates that wait for an image that has not arrived.
MAX_PENDING_PROMPTS = 32
#: Seconds after its last array with a stamp for which a detector counts as running.
DETECTOR_TIMEOUT = 2.0


class PendingPrompts:
    """Prompt updates of one camera, from their arrival to their turn.

    Args:
        context: of the camera; owns the prompts.
        images: the images that updates may refer to.
        requests: where the frames of updates are submitted.
        history_s: how long an update waits for its image, seconds.
    """

    def __init__(
        self, context: CameraContext, images: RecentImages, requests: RequestQueue, history_s: float
    ) -> None:
        self._context, self._images, self._requests = context, images, requests
        self._prompts = context.prompts
        self._history_s = history_s
        self._detector_runs_until = 0.0

    def submit(
        self, topic: str, header: Header | None, objects: Sequence[ObjectPrompt], *, is_array: bool
    ) -> None:
        """Take prompts for the frame with the header's stamp; for the newest without a header or a stamp.

        A click with a stamp of no frame applies to the newest as well; a detector's array does not.
        """
        stamp = stamp_ns(header) if header is not None else 0
        self._context.diagnostics.count("prompts_in")
        if self._context.parameters().mode != "everything":
            self._prompts.avoid(())  # ids of the last frame of everything mode are free now
        update = self._prompts.new_update(topic, objects, stamp, is_array=is_array)
        if update is None:
            self._context.report_error(
                "bad_prompts",
                f"{topic}: {self._prompts.max_clicks} clicks are stored already; call ~/clear_prompts",
            )
        else:
            self._route(update)

    def add_objects(self, topic: str, objects: Sequence[ObjectPrompt], stamp: int) -> list[int]:
        """Take objects beside the stored ones, and return their ids.

        Args:
            topic: service that they come from.
            objects: to add.
            stamp: of the image that they refer to, nanoseconds; 0: the newest.

        Raises:
            PromptError: too many are stored already.
        """
        self._context.diagnostics.count("prompts_in")
        update = self._prompts.new_update(topic, objects, stamp, is_array=False)
        if update is None:
            limit = self._prompts.max_clicks
            raise PromptError(f"at most {limit} objects are stored; remove some before {len(objects)} more")
        self._route(update)
        return [item.identity for item in update.objects]

    def _route(self, update: PromptUpdate) -> None:
        """Apply an update at once, or let it wait for its image."""
        if not update.stamp:
            self._apply(update)
        elif not self._context.is_accepting() or self._context.parameters().mode != "prompt":
            self._submit_without_images(update)
        else:
            self._submit_for_image(update)

    def ids(self) -> list[int]:
        """Return the ids of all prompted objects."""
        return self._prompts.ids()

    def ids_by_name(self) -> dict[str, int]:
        """Return the ids of the objects that their senders gave a name or an id."""
        return self._prompts.ids_by_name()

    def remove(self, identity: int) -> bool:
        """Remove the object with this id in any state; return False if there is none."""
        if not self._prompts.remove(identity):
            return False
        self._context.diagnostics.count("objects_removed")
        self._withdraw_void()
        return True

    def clear(self) -> int:
        """Forget all prompts; return how many objects there were."""
        number = self._prompts.clear()
        self._detector_runs_until = 0.0
        self._withdraw_void()
        return number

    def submit_matches(self, message: Image | CompressedImage) -> bool:
        """Submit the updates that waited for an image; return whether that submits the image. An update with
        a missed image gets the nearest one, if ``missing_image_policy`` is ``nearest``.
        """
        stamp, is_submitted = stamp_ns(message.header), False
        for pending in self._prompts.without_image():
            update = pending.update
            image = message if update.stamp == stamp else None
            if update.stamp < stamp and self._context.parameters().use_nearest_image:
                image = self._images.nearest(update.stamp)
            if image is not None and self._submit(update, image):
                is_submitted |= image is message
        return is_submitted

    def expire(self) -> None:
        """Drop updates without an image after their deadline."""
        now = time.monotonic()
        for pending in self._prompts.without_image():
            if pending.deadline < now:
                self._give_up_waiting(pending.update)

    def drop_all(self, reason: str) -> None:
        """Drop all updates that wait, and report each with the reason."""
        self._detector_runs_until = 0.0
        for update in self._prompts.discard_all():
            self.report_dropped(update, reason)

    def only_prompted_frames(self) -> bool:
        """Return whether frames without a prompt are skipped.

        They are while a detector runs and tracking is off: its boxes apply to their own frames only.
        """
        if time.monotonic() >= self._detector_runs_until:
            return False
        parameters = self._context.parameters()
        return parameters.mode == "prompt" and not parameters.enable_tracking and not self._prompts.all()

    def accepts_request(self, request: FrameRequest, mode: str) -> bool:
        """Return whether the next frame is processed in this mode.

        Called by the inference thread.
        """
        if mode == "prompt":
            return True
        if request.update is None:
            return mode == "everything"
        if (update := self._prompts.discard(request.update)) is not None:
            self.report_dropped(update, f"the mode has changed to {mode}")
        return False

    def report_dropped(self, update: PromptUpdate, reason: str) -> None:
        """Report an update that did not take effect on its image. Called by any thread."""
        self._context.report_error(
            "prompts_dropped",
            f"{update.topic}: the prompts for the image of {update.stamp / 1e9:.3f} s are dropped: {reason}",
        )

    def _submit_without_images(self, update: PromptUpdate) -> None:
        """Handle an update while no image is processed for it: a click applies to the newest image."""
        if not update.is_array:
            self._apply(update)
        elif not self._context.is_accepting():
            self.report_dropped(update, "the node is inactive or disabled")
        else:
            self._context.diagnostics.count("prompts_not_used")  # another mode than "prompt"

    def _apply(self, update: PromptUpdate) -> None:
        self._prompts.apply(update)
        if not update.is_array and self._context.parameters().mode == "everything":
            self._prompts.show_beside(update.objects)
        if update.is_array:
            self._detector_runs_until = 0.0
        self._withdraw_void()

    def _submit_for_image(self, update: PromptUpdate) -> None:
        if update.is_array:
            self._detector_runs_until = time.monotonic() + DETECTOR_TIMEOUT
        message = self._images.find(update.stamp)
        use_nearest = self._context.parameters().use_nearest_image
        if message is not None:
            self._submit(update, message)
        elif update.is_array and self._is_expected(update.stamp, use_nearest=use_nearest):
            self._await_image(update)
        elif use_nearest and (message := self._images.nearest(update.stamp)) is not None:
            self._submit(update, message)
        elif update.is_array:
            self._report_no_image(update)
        else:
            self._apply(update)  # tools stamp a click with its own time: the newest image is meant

    def _is_expected(self, stamp: int, *, use_nearest: bool) -> bool:
        """Return whether to wait for an image; where the nearest will do, not beyond the history."""
        ahead = self._images.seconds_ahead(stamp)
        return 0 < ahead <= (self._history_s if use_nearest else float("inf"))

    def _await_image(self, update: PromptUpdate) -> None:
        waiting = self._prompts.without_image()
        if len(waiting) >= MAX_PENDING_PROMPTS:
            self._give_up_waiting(waiting[0].update)
        self._prompts.await_image(update, time.monotonic() + self._history_s)
        self._withdraw_void()

    def _submit(self, update: PromptUpdate, message: Image | CompressedImage) -> bool:
        """Let the update wait for its turn; return False if too many do."""
        self._prompts.await_turn(update)
        self._withdraw_void()
        if not self._requests.submit_prompted(message, update.number):
            self._prompts.discard(update.number)
            self._context.report_error(
                "bad_prompts",
                f"{update.topic}: {MAX_PROMPTED_REQUESTS} prompts wait for their frames already; send fewer",
            )
            return False
        return True

    def _give_up_waiting(self, update: PromptUpdate) -> None:
        """Take the nearest image if ``missing_image_policy`` is ``nearest``; otherwise reject the update."""
        message = self._images.nearest(update.stamp)
        if self._context.parameters().use_nearest_image and message is not None:
            self._submit(update, message)
            return
        self._prompts.discard(update.number)
        self._report_no_image(update)

    def _report_no_image(self, update: PromptUpdate) -> None:
        self._context.report_error(
            "unknown_stamps",
            f"{update.topic}: no image has the stamp {update.stamp / 1e9:.3f} s; {self._images} "
            "(history_frames, history_mb, history_s); missing_image_policy: nearest uses the nearest image",
        )

    def _withdraw_void(self) -> None:
        """Withdraw the frames of updates that are void."""
        self._requests.withdraw(
            lambda request: request.update is not None and not self._prompts.is_pending(request.update)
        )
