# SPDX-License-Identifier: Apache-2.0
"""What comes in for one camera: which images are answered, and which orders wait for theirs.

Used by the executor's thread, unless a method says otherwise. What it decides goes to the
:class:`PromptStore` and to the turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sensor_msgs.msg import CompressedImage, Image

from .diagnostics import CameraDiagnostics
from .frame_loss import FrameLossMonitor
from .frame_scheduler import MAX_PROMPTED_REQUESTS, FrameScheduler
from .prompt_messages import ObjectPrompt
from .prompt_store import PromptStore
from .prompt_updates import PromptUpdate
from .recent_images import RecentImages, stamp_ns

#: Told (kind, text) of what cannot be used.
ReportError = Callable[[str, str], None]
#: Orders that wait for an image which has not come yet, at most.
MAX_PENDING_PROMPTS = 32
#: Seconds after its last array with a stamp for which a detector is taken to run.
DETECTOR_RUNS = 2.0


@dataclass(frozen=True, eq=False)
class FrameRequest:
    """A frame to answer.

    Attributes:
        message: the image.
        order: number of the order that it is answered for; None: for what persists.
        session: of the intake, when the frame came.
        arrived: when it was put in, by the monotonic clock.
    """

    message: Image | CompressedImage
    order: int | None
    session: object
    arrived: float


class PendingPrompts:
    """Images and orders of one camera, from their arrival to their turn.

    Args:
        prompts: owns what is asked for.
        turns: where frames wait; this camera's are put at ``index``.
        topic: of the images, for errors.
        options: as configured.
        parameter: the value of a parameter, now.
        accepts: whether the node is active and enabled, now.

    Attributes:
        session: another object after every pause; a frame of an earlier one is not answered.
    """

    def __init__(
        self,
        prompts: PromptStore,
        health: CameraDiagnostics,
        turns: FrameScheduler[FrameRequest],
        index: int,
        topic: str,
        options: dict[str, Any],
        parameter: Callable[[str], Any],
        accepts: Callable[[], bool],
        report_error: ReportError,
    ) -> None:
        self.prompts = prompts
        self.session = object()
        self._health, self._turns, self._index, self._topic = health, turns, index, topic
        self._parameter, self._accepts, self._report_error = parameter, accepts, report_error
        self._patience = options["history_s"]
        self._recent = RecentImages(options["history_frames"], self._patience, options["history_mb"] * 1e6)
        self._arrivals = FrameLossMonitor()
        self._last_taken = 0.0
        self._detector_runs_until = 0.0

    def on_image(self, message: Image | CompressedImage) -> None:
        """Keep a frame, and let it be answered when its turn comes."""
        if not self._accepts():
            return
        self._health.frame_in()
        self._recent.add(message)
        self._watch_arrivals(message)
        if self._answer_awaiting(message):
            return
        if self._only_when_asked():
            self._health.count("frames_not_asked_about")
            return
        now, rate = time.monotonic(), self._parameter("max_rate_hz")
        if rate > 0 and now - self._last_taken < 0.95 / rate:
            self._health.count("frames_skipped_by_max_rate")
            return
        self._last_taken = now
        self._turns.put(self._job(message), self._index)

    def ask(self, topic: str, header: Any, objects: Sequence[ObjectPrompt], array: bool) -> None:
        """Prompts for the frame that has the header's stamp; for the newest without a header or a stamp.

        A click whose stamp no frame has is for the newest as well; a detector's array is not.
        """
        stamp = stamp_ns(header) if header is not None else 0
        self._health.count("prompts_in")
        order = self.prompts.order(topic, objects, array, stamp)
        if order is None:
            most = self.prompts.most_clicks
            self._report_error(
                "bad_prompts", f"{topic}: {most} clicks are kept already; call ~/clear_prompts"
            )
        elif not stamp:
            self._put(order)
        elif not self._accepts() or self._parameter("mode") == "everything":
            self._ask_about_no_image(order)
        else:
            self._ask_about_image(order)

    def remove(self, identity: int) -> bool:
        """Forget the object with this id, wherever it waits; False if there is none."""
        if not self.prompts.remove(identity):
            return False
        self._health.count("objects_removed")
        self._withdraw_void()
        return True

    def clear(self) -> int:
        """Forget all that is asked for; how many objects there were."""
        number = self.prompts.clear()
        self._detector_runs_until = 0.0
        self._withdraw_void()
        return number

    def newest(self) -> Image | CompressedImage | None:
        """The newest image, if it is not too old."""
        return self._recent.newest()

    def frame_id(self) -> str:
        """The coordinate frame of the newest image, empty when there is none."""
        message = self.newest()
        return message.header.frame_id if message is not None else ""

    def tick(self) -> None:
        """Once in a while: let old images go, and give up orders whose image has not come."""
        self._recent.forget_old()
        now = time.monotonic()
        for order in self.prompts.awaiting():
            if order.until < now:
                self._without_image(order)

    def pause(self, reason: str) -> None:
        """Frames are not answered any more: let go of all that wait, and of the orders that wait for them."""
        self.session = object()
        self._detector_runs_until = 0.0
        self._recent.clear()
        for order in self.prompts.give_up_all():
            self.report_dropped(order, reason)
        self._turns.withdraw(self._index, lambda job: True)

    def takes(self, job: FrameRequest, mode: str) -> bool:
        """Whether a frame whose turn has come is answered in this mode. Called by the inference thread."""
        if job.order is None or mode == "prompt":
            return True
        if (order := self.prompts.give_up(job.order)) is not None:
            self.report_dropped(order, "the mode has changed to everything")
        return False

    def report_dropped(self, order: PromptUpdate, reason: str) -> None:
        """An order was not answered on its image."""
        self._report_error(
            "prompts_dropped",
            f"{order.topic}: the prompts for the image of {order.stamp / 1e9:.3f} s are dropped: {reason}",
        )

    def _ask_about_no_image(self, order: PromptUpdate) -> None:
        """No image is answered for an order now: a click counts as one for the newest image."""
        if not order.array:
            self._put(order)
        elif not self._accepts():
            self.report_dropped(order, "the node is inactive or disabled")
        else:
            self._health.count("prompts_not_used")  # everything mode

    def _put(self, order: PromptUpdate) -> None:
        self.prompts.put(order)
        if order.array:
            self._detector_runs_until = 0.0
        self._withdraw_void()

    def _ask_about_image(self, order: PromptUpdate) -> None:
        if order.array:
            self._detector_runs_until = time.monotonic() + DETECTOR_RUNS
        message = self._recent.find(order.stamp)
        nearest = self._parameter("unknown_stamp") == "nearest"
        if message is not None:
            self._answer_on(order, message)
        elif order.array and self._is_about_to_come(order.stamp, nearest):
            self._wait(order)
        elif nearest and (message := self._recent.nearest(order.stamp)) is not None:
            self._answer_on(order, message)
        elif order.array:
            self._no_such_frame(order)
        else:
            self._put(order)  # tools stamp a click with its own time: what is seen now is meant

    def _is_about_to_come(self, stamp: int, nearest: bool) -> bool:
        """Whether to wait for an image; with ``nearest`` for one within the time of waiting alone."""
        ahead = self._recent.seconds_ahead(stamp)
        return 0 < ahead <= (self._patience if nearest else float("inf"))

    def _wait(self, order: PromptUpdate) -> None:
        awaiting = self.prompts.awaiting()
        if len(awaiting) >= MAX_PENDING_PROMPTS:
            self._without_image(awaiting[0])
        self.prompts.wait(order, time.monotonic() + self._patience)
        self._withdraw_void()

    def _answer_awaiting(self, message: Image | CompressedImage) -> bool:
        """Answer the orders that waited for this frame; whether it gets its turn by that.

        An order whose image was passed by gets the nearest, as the parameter ``unknown_stamp`` asks.
        """
        stamp, taken = stamp_ns(message.header), False
        for order in self.prompts.awaiting():
            image = message if order.stamp == stamp else None
            if order.stamp < stamp and self._parameter("unknown_stamp") == "nearest":
                image = self._recent.nearest(order.stamp)
            if image is not None and self._answer_on(order, image):
                taken |= image is message
        return taken

    def _answer_on(self, order: PromptUpdate, message: Image | CompressedImage) -> bool:
        """Let the order wait for its turn; False if too many do."""
        self.prompts.due(order)
        self._withdraw_void()
        if not self._turns.ask(self._job(message, order.number), self._index):
            self.prompts.give_up(order.number)
            self._report_error(
                "bad_prompts",
                f"{order.topic}: {MAX_PROMPTED_REQUESTS} prompts wait for their frames already; send fewer",
            )
            return False
        return True

    def _without_image(self, order: PromptUpdate) -> None:
        """The order has waited for long enough: the nearest image, or none."""
        message = self._recent.nearest(order.stamp)
        if self._parameter("unknown_stamp") == "nearest" and message is not None:
            self._answer_on(order, message)
            return
        self.prompts.give_up(order.number)
        self._no_such_frame(order)

    def _no_such_frame(self, order: PromptUpdate) -> None:
        self._report_error(
            "unknown_stamps",
            f"{order.topic}: no image has the stamp {order.stamp / 1e9:.3f} s; {self._recent} "
            "(history_frames, history_mb, history_s); unknown_stamp: nearest takes the nearest",
        )

    def _withdraw_void(self) -> None:
        """Frames whose orders are void lose their turn."""
        self._turns.withdraw(
            self._index, lambda job: job.order is not None and not self.prompts.waits(job.order)
        )

    def _only_when_asked(self) -> bool:
        """Frames of a detector that runs: without tracking its boxes say nothing of other frames."""
        if time.monotonic() >= self._detector_runs_until:
            return False
        by_itself = self._parameter("mode") == "everything" or self._parameter("track")
        return not by_itself and not self.prompts.all()

    def _job(self, message: Image | CompressedImage, order: int | None = None) -> FrameRequest:
        return FrameRequest(message, order, self.session, time.monotonic())

    def _watch_arrivals(self, message: Image | CompressedImage) -> None:
        self._arrivals.add(stamp_ns(message.header) / 1e9)
        missing = self._arrivals.missing
        self._health.note("frames_missing_by_stamps", [f"{missing:.0%}"])
        if missing > FrameLossMonitor.WARN_RATIO:
            self._health.warn(
                "frames_missing",
                f"{self._topic}: {missing:.0%} of the frames do not arrive (by their stamps); "
                "with Fast DDS start the camera with FASTRTPS_DEFAULT_PROFILES_FILE=…/fastdds_images.xml, or "
                "use image_transport: compressed",
            )
