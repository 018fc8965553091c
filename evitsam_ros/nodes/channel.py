# SPDX-License-Identifier: Apache-2.0
"""One camera: its images and prompts in, its masks out.

Names are relative, so that they can be remapped: ``image`` and ``~/label_map`` of a node with one camera,
``front/image`` and ``~/front/label_map`` of the camera ``front``.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sensor_msgs.msg import CompressedImage, Image

from ..encodings import ImageError, compressed_to_frame, image_to_frame
from ..segment import Frame, Segmenter
from .answers import Answers
from .arrivals import Arrivals
from .calibration import Calibration
from .entities import Entities
from .health import Health
from .image_transport import transport_topic
from .incoming_prompts import MAX_OBJECTS
from .outputs import Outputs
from .parameters import intensity_limits
from .prompt_store import PromptStore
from .prompt_topics import Change, PromptTopics
from .qos import newest_only
from .recent_images import RecentImages, stamp_ns
from .space import SpaceOutput
from .worker import MOST_ASKED, Turns

#: Prompts that wait for a frame which has not come yet, at most.
MOST_AWAITED = 32
#: Seconds between two log lines of a lasting warning.
WARN_EVERY = 60.0


@dataclass(frozen=True)
class Job:
    """A frame to answer, and what to do with the prompts just before."""

    message: Image | CompressedImage
    change: Change | None = None
    replaces: bool = False


@dataclass(frozen=True)
class Awaited:
    """Prompts for a frame that has not come yet."""

    topic: str
    stamp: int
    change: Change
    replaces: bool
    until: float


class Channel:
    """What belongs to one camera of a segmenter.

    Args:
        node: gives parameters, clock and log.
        name: of the camera; empty for the only one.
        refuse: told (health, kind, text) of everything that cannot be used.
    """

    def __init__(self, node: Any, name: str, refuse: Callable[[Health, str, str], None]) -> None:
        self.name = name
        self.health = Health(name)
        self.prompts = PromptStore(MAX_OBJECTS)
        self._node = node
        self._inputs, self._private = (f"{name}/", f"~/{name}/") if name else ("", "~/")
        self._refuse = lambda kind, text: refuse(self.health, kind, text)
        self.calibration: Calibration | None = None
        self._space: SpaceOutput | None = None
        self._turns: Turns[Job] | None = None
        self._last_taken = 0.0
        self._asked_by_stamp = False
        self._ahead: tuple[Image | CompressedImage, Frame | None] | None = None

    def configure(
        self,
        entities: Entities,
        segmenter: Segmenter,
        options: dict[str, Any],
        turns: Turns[Job],
        index: int,
        *,
        subscribe: bool = True,
    ) -> None:
        """Make topics and services.

        Args:
            turns: where frames wait; this camera's are put at ``index``.
            subscribe: to the images; else they come through :meth:`on_image` alone.
        """
        self._options, self._turns, self._index = options, turns, index
        self._recent = RecentImages(options["history_frames"], options["history_s"])
        self._awaited: deque[Awaited] = deque()
        self._arrivals = Arrivals()
        self._answers = Answers(
            segmenter, self.prompts, self.health, self._parameter, self._refuse, self._warn
        )
        self._outputs = Outputs(entities, self._private)
        self._topics = PromptTopics(
            entities,
            self._private,
            self.prompts,
            self.ask,
            self._refuse,
            self.frame_id,
            lambda: self.health.count("objects_removed"),
        )
        kind, topic = self._image_topic()
        if subscribe:
            entities.subscription(kind, topic, self.on_image, newest_only(options["reliability"]))
        if options["depth"] or options["clicks_in_space"]:
            self.calibration = Calibration(
                entities, self._inputs + "camera_info", options["reliability"], options["image_rectified"]
            )
        if options["depth"]:
            self._space = SpaceOutput(
                self._node, entities, self._inputs, self._private, self.calibration, options, self._refuse
            )

    def release(self) -> None:
        """Forget the frames and the networks; the prompts stay."""
        if self._turns is not None:
            self._recent.clear()
            self._awaited.clear()
        self._turns = self._answers = self._outputs = self._space = self.calibration = None

    def use(self, segmenter: Segmenter) -> None:
        """Go on with another runtime. Called by the inference thread."""
        self._answers.segmenter = segmenter

    # Executor's thread -----------------------------------------------------------------------------

    def on_image(self, message: Image | CompressedImage) -> None:
        """A frame has come: keep it, and answer it when its turn comes."""
        turns = self._turns
        if turns is None or not self._node.accepts:
            return
        self.health.frame_in()
        self._recent.add(message)
        self._watch_arrivals(message)
        if self._meet_awaited(message):
            return
        if self._only_when_asked():
            self.health.count("frames_not_asked_about")
            return
        now, rate = time.monotonic(), self._parameter("max_rate_hz")
        if rate > 0 and now - self._last_taken < 0.95 / rate:
            self.health.count("frames_skipped_by_max_rate")
            return
        self._last_taken = now
        turns.put(Job(message), self._index)

    def ask(self, topic: str, header: Any, change: Change, replaces: bool = False) -> None:
        """Prompts have come, for the frame that has the header's stamp; for the newest without a stamp.

        A click whose stamp no frame has is for the newest as well; a detector's boxes (``replaces``) are not.
        """
        stamp = stamp_ns(header) if header is not None else 0
        self.health.count("prompts_in")
        if not stamp or self._turns is None:
            change()
            return
        self._asked_by_stamp |= replaces
        message = self._recent.find(stamp)
        if message is None and self._parameter("unknown_stamp") == "nearest":
            message = self._recent.nearest(stamp)
        if message is not None:
            self._answer_on(topic, Job(message, change, replaces))
        elif not replaces:
            change()  # tools stamp a click with its own time: what is seen now is meant
        elif self._recent.is_to_come(stamp) and len(self._awaited) < MOST_AWAITED:
            until = time.monotonic() + self._options["history_s"]
            self._awaited.append(Awaited(topic, stamp, change, replaces, until))
        else:
            self._no_such_frame(topic, stamp)

    def click(self, topic: str, header: Any, x: float, y: float) -> None:
        """See :meth:`PromptTopics.click`."""
        self._topics.click(topic, header, x, y)

    def frame_id(self) -> str:
        """The coordinate frame of the newest image, empty when there is none."""
        message = self.newest()
        return message.header.frame_id if message is not None else ""

    def newest(self) -> Image | CompressedImage | None:
        """The newest image, if it is not too old."""
        return self._recent.newest() if self._turns is not None else None

    def tick(self) -> None:
        """Once in a while: report prompts whose frame has not come."""
        now = time.monotonic()
        while self._turns is not None and self._awaited and self._awaited[0].until < now:
            late = self._awaited.popleft()
            self._no_such_frame(late.topic, late.stamp)

    def _answer_on(self, topic: str, job: Job) -> None:
        if not self._turns.ask(job, self._index, replaces=job.replaces):
            self._refuse(
                "bad_prompts", f"{topic}: {MOST_ASKED} prompts wait for their frames already; send fewer"
            )

    def _no_such_frame(self, topic: str, stamp: int) -> None:
        self._refuse(
            "unknown_stamps",
            f"{topic}: no image has the stamp {stamp / 1e9:.3f} s; {self._recent} "
            "(history_frames, history_s); unknown_stamp: nearest takes the nearest",
        )

    def _meet_awaited(self, message: Image | CompressedImage) -> bool:
        """Answer the prompts that waited for this frame; whether there were any."""
        stamp = stamp_ns(message.header)
        meant = [awaited for awaited in self._awaited if awaited.stamp == stamp]
        for awaited in meant:
            self._awaited.remove(awaited)
            self._answer_on(awaited.topic, Job(message, awaited.change, awaited.replaces))
        return bool(meant)

    def _only_when_asked(self) -> bool:
        """Frames of a detector's own: without tracking its boxes say nothing of other frames."""
        by_itself = self._parameter("mode") == "everything" or self._parameter("track")
        return self._asked_by_stamp and not by_itself and not self.prompts.all()

    def _watch_arrivals(self, message: Image | CompressedImage) -> None:
        self._arrivals.add(stamp_ns(message.header) / 1e9)
        missing = self._arrivals.missing
        self.health.note("frames_missing_by_stamps", [f"{missing:.0%}"])
        if missing > Arrivals.TOO_MANY:
            self.health.warn(
                "frames_missing",
                f"{self._image_topic()[1]}: {missing:.0%} of the frames do not arrive (by their stamps); "
                "with Fast DDS start the camera with FASTRTPS_DEFAULT_PROFILES_FILE=…/fastdds_images.xml, or "
                "use image_transport: compressed",
            )

    def _image_topic(self) -> tuple[type, str]:
        transport = self._options["image_transport"]
        kind = Image if transport == "raw" else CompressedImage
        return kind, transport_topic(self._node, self._inputs + "image", transport)

    def _warn(self, text: str) -> None:
        text = f"camera {self.name}: {text}" if self.name else text
        self._node.get_logger().warning(text, throttle_duration_sec=WARN_EVERY)

    def _parameter(self, name: str) -> Any:
        return self._node.get_parameter(name).value

    # Inference thread ------------------------------------------------------------------------------

    def frame_ahead(self, job: Job) -> Frame | None:
        """The picture of a frame that :meth:`answer` will encode; None if it need not."""
        self._expect_depth(job)
        wanted = self._parameter("mode") == "everything" or job.change is not None or self.prompts.all()
        if not wanted or not any(self._listeners()):
            return None
        self._ahead = job.message, self._frame(job.message)
        return self._ahead[1]

    def answer(self, job: Job) -> None:
        """Make and publish the masks of a frame."""
        self._expect_depth(job)
        if job.change is not None:
            job.change()
        try:
            self._publish_masks(job.message)
        finally:
            if job.replaces and not self._parameter("track"):
                self.prompts.detect([])  # they were meant for this frame alone

    def _expect_depth(self, job: Job) -> None:
        if self._space is not None:
            self._space.expect(job.message.header)

    def _publish_masks(self, message: Image | CompressedImage) -> None:
        listeners, in_space = self._listeners()
        if not listeners | in_space:
            self.health.count("frames_without_listener")
            return
        start = time.perf_counter()
        ahead, self._ahead = self._ahead, None
        frame = ahead[1] if ahead is not None and ahead[0] is message else self._frame(message)
        if frame is None:
            return
        converted = time.perf_counter()
        masks, names = self._answers.masks(frame)
        segmented = time.perf_counter()
        header, space = message.header, self._space

        def publish_in_space(labels) -> None:
            space.publish(header, frame.image, masks, labels, names)

        alpha = self._parameter("overlay_alpha")
        with_labels = publish_in_space if in_space else None
        self._outputs.publish(header, frame, masks, names, listeners, alpha, with_labels)
        end = time.perf_counter()
        stages = {"convert": converted - start, **self._answers.segmenter.timings}
        self.health.frame_out(
            {**stages, "publish": end - segmented, "total": end - start},
            self._age(header),
            self._parameter("max_age_s"),
        )

    def _listeners(self) -> tuple[set[str], set[str]]:
        """Outputs that somebody listens to: in the picture, and in space."""
        return self._outputs.listeners(), self._space.listeners() if self._space is not None else set()

    def _frame(self, message: Image | CompressedImage) -> Frame | None:
        """The picture of a message; None, and a report, if it has none."""
        try:
            limits = intensity_limits(self._parameter("intensity_range"))
            if isinstance(message, CompressedImage):
                return compressed_to_frame(message, limits)
            return image_to_frame(message, limits)
        except ImageError as error:
            self._refuse("bad_images", f"{self._image_topic()[1]}: {error}")
            return None

    def _age(self, header: Any) -> float:
        """Seconds since the stamp, by the node's clock."""
        return (self._node.get_clock().now().nanoseconds - stamp_ns(header)) / 1e9
