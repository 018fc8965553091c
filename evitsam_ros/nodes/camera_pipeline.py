# SPDX-License-Identifier: Apache-2.0
"""One camera: its images and prompts in, its masks out.

Names are relative, so that they can be remapped: ``image`` and ``~/label_map`` of a node with one camera,
``front/image`` and ``~/front/label_map`` of the camera ``front``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from ..encodings import ImageError, compressed_to_frame, image_to_frame
from ..segment import Frame, Masks, Segmenter
from .calibration import Calibration
from .depth_output import DepthOutput
from .diagnostics import CameraDiagnostics
from .frame_scheduler import FrameScheduler
from .frame_segmenter import FrameSegmenter
from .frame_settings import FrameSettings
from .image_transport import transport_topic
from .managed_entities import ManagedEntities
from .parameters import intensity_limits
from .pending_prompts import FrameRequest, PendingPrompts
from .prompt_messages import MAX_OBJECTS
from .prompt_store import PromptStore
from .prompt_topics import PromptTopics
from .prompt_updates import ActivePrompts
from .publishers import MaskPublishers
from .qos import newest_only
from .recent_images import stamp_ns

#: Why a frame was not answered.
NO_LISTENER = "nobody listens to the outputs"
#: Seconds between two log lines of a lasting warning.
WARN_EVERY = 60.0


class CameraPipeline:
    """What belongs to one camera of a segmenter.

    Args:
        node: gives parameters, clock and log.
        name: of the camera; empty for the only one.
        report_error: told (health, kind, text) of everything that cannot be used.
    """

    def __init__(
        self, node: Any, name: str, report_error: Callable[[CameraDiagnostics, str, str], None]
    ) -> None:
        self.name = name
        self.health = CameraDiagnostics(name)
        self.prompts = PromptStore(MAX_OBJECTS)
        self._node = node
        self._inputs, self._private = (f"{name}/", f"~/{name}/") if name else ("", "~/")
        self._report_error = lambda kind, text: report_error(self.health, kind, text)
        self.calibration: Calibration | None = None
        self._space: DepthOutput | None = None
        self._intake: PendingPrompts | None = None
        self._outputs: MaskPublishers | None = None
        self._ahead: tuple[Image | CompressedImage, Frame | None] | None = None

    def configure(
        self,
        entities: ManagedEntities,
        segmenter: Segmenter,
        options: dict[str, Any],
        turns: FrameScheduler[FrameRequest],
        index: int,
        *,
        subscribe: bool = True,
    ) -> None:
        """Make topics and services.

        Args:
            turns: where frames wait; this camera's are put at ``index``.
            subscribe: to the images; else they come through :meth:`on_image` alone.
        """
        transport = options["image_transport"]
        kind = Image if transport == "raw" else CompressedImage
        self._topic = transport_topic(self._node, self._inputs + "image", transport)
        self._answers = FrameSegmenter(
            segmenter, self.health, self.prompts.drop, self._report_error, self._warn
        )
        self._outputs = MaskPublishers(entities, self._private)
        self._intake = PendingPrompts(
            self.prompts,
            self.health,
            turns,
            index,
            self._topic,
            options,
            self._parameter,
            lambda: self._node.accepts,
            self._report_error,
        )
        self._topics = PromptTopics(entities, self._private, self._intake, self._report_error)
        if subscribe:
            entities.subscription(kind, self._topic, self.on_image, newest_only(options["reliability"]))
        if options["depth"] or options["clicks_in_space"]:
            self.calibration = Calibration(
                entities, self._inputs + "camera_info", options["reliability"], options["image_rectified"]
            )
        if options["depth"]:
            self._space = DepthOutput(
                self._node,
                entities,
                self._inputs,
                self._private,
                self.calibration,
                options,
                self._report_error,
            )

    def release(self) -> None:
        """Forget the frames and the networks; the prompts stay, but for those of one image alone."""
        self.pause("the node is cleaned up")
        self.prompts.forget_stamped()
        self._intake = self._answers = self._outputs = self._space = self.calibration = None

    def use(self, segmenter: Segmenter) -> None:
        """Go on with another runtime. Called by the inference thread."""
        self._answers.segmenter = segmenter

    # Executor's thread -----------------------------------------------------------------------------

    def on_image(self, message: Image | CompressedImage) -> None:
        """A frame has come: keep it, and answer it when its turn comes."""
        if self._intake is not None:
            self._intake.on_image(message)

    def click(self, topic: str, header: Any, x: float, y: float) -> None:
        """See :meth:`PromptTopics.click`."""
        self._topics.click(topic, header, x, y)

    def newest(self) -> Image | CompressedImage | None:
        """The newest image, if it is not too old."""
        return self._intake.newest() if self._intake is not None else None

    def tick(self) -> None:
        """Once in a while: see :meth:`PendingPrompts.tick`."""
        if self._intake is not None:
            self._intake.tick()

    def pause(self, reason: str) -> None:
        """Answer nothing from now on, not even the frame in work; what waits is let go, with the reason."""
        if self._intake is not None:
            self._intake.pause(reason)

    def resume(self) -> None:
        """The node is about to be active again."""
        if self._outputs is not None:
            self._outputs.resume()

    def _warn(self, text: str) -> None:
        text = f"camera {self.name}: {text}" if self.name else text
        self._node.get_logger().warning(text, throttle_duration_sec=WARN_EVERY)

    def _parameter(self, name: str) -> Any:
        return self._node.get_parameter(name).value

    # Inference thread ------------------------------------------------------------------------------

    def frame_ahead(self, job: FrameRequest) -> Frame | None:
        """The picture of a frame that :meth:`answer` will encode; None if it need not."""
        self._expect_depth(job)
        wanted = self._parameter("mode") == "everything" or job.order is not None or self.prompts.all()
        if not wanted or not any(self._listeners()):
            return None
        self._ahead = job.message, self._frame(job.message)
        return self._ahead[1]

    def answer(self, job: FrameRequest) -> bool:
        """Make and publish the masks of a frame; whether the networks have run for it."""
        self._expect_depth(job)
        intake, settings = self._intake, FrameSettings.read(self._parameter)
        ahead, self._ahead = self._ahead, None
        if intake is None or self._is_late(job) or not intake.takes(job, settings.mode):
            return False
        work = self.prompts.begin(job.order, settings.track)
        if work is None:
            return False
        frame = ahead[1] if ahead is not None and ahead[0] is job.message else None
        reason, ran = "inference failed", False
        try:
            reason, ran = self._answer(job, frame, work, settings)
        finally:
            dropped = self.prompts.finish(work, answered=not reason, keep=settings.track)
            if dropped is not None and dropped.array and reason == NO_LISTENER:
                self.health.count("prompts_without_listener")  # a detector runs on
            elif dropped is not None:
                intake.report_dropped(dropped, reason)
        return ran

    def _answer(
        self, job: FrameRequest, frame: Frame | None, work: ActivePrompts, settings: FrameSettings
    ) -> tuple[str, bool]:
        """Why a frame was not answered, empty if it was; and whether the networks have run."""
        answers, start = self._answers, time.perf_counter()
        if not any(self._listeners()):
            self.health.count("frames_without_listener")
            return NO_LISTENER, False
        frame = frame if frame is not None else self._frame(job.message)
        if frame is None:
            return "the image cannot be used", False
        converted = time.perf_counter()
        masks, names = answers.masks(frame, list(work.objects), settings, job)
        segmented = time.perf_counter()
        ran = "encode" in answers.segmenter.timings
        if self._is_late(job):
            self.health.count("answers_not_published")
            return "the node was disabled or deactivated meanwhile", ran
        if settings.mode == "prompt":
            masks, names = _without_removed(masks, names, self.prompts.wanted(work))
        self._publish(job.message.header, frame, masks, names, settings)
        end = time.perf_counter()
        stages = {"convert": converted - start, **answers.segmenter.timings}
        self.health.frame_out(
            {**stages, "publish": end - segmented, "total": end - start},
            self._age(job.message.header),
            settings.max_age_s,
        )
        return "", ran

    def _is_late(self, job: FrameRequest) -> bool:
        """Whether the node is, or was, disabled or inactive since the frame came."""
        return self._intake is None or job.session is not self._intake.session or not self._node.accepts

    def _publish(
        self, header: Any, frame: Frame, masks: Masks, names: dict[int, str], settings: FrameSettings
    ) -> None:
        (listeners, in_space), space = self._listeners(), self._space

        def publish_in_space(labels: np.ndarray) -> None:
            space.publish(header, frame.image, masks, labels, names)

        with_labels = publish_in_space if in_space else None
        self._outputs.publish(header, frame, masks, names, listeners, settings.overlay_alpha, with_labels)

    def _expect_depth(self, job: FrameRequest) -> None:
        """Hold the depth of a frame that is about to be answered."""
        if self._space is not None:
            self._space.expect(job.message.header)

    def _listeners(self) -> tuple[set[str], set[str]]:
        """MaskPublishers that somebody listens to: in the picture, and in space."""
        return self._outputs.listeners(), self._space.listeners() if self._space is not None else set()

    def _frame(self, message: Image | CompressedImage) -> Frame | None:
        """The picture of a message; None, and a report, if it has none."""
        try:
            limits = intensity_limits(self._parameter("intensity_range"))
            if isinstance(message, CompressedImage):
                return compressed_to_frame(message, limits)
            return image_to_frame(message, limits)
        except ImageError as error:
            self._report_error("bad_images", f"{self._topic}: {error}")
            return None

    def _age(self, header: Any) -> float:
        """Seconds since the stamp, by the node's clock."""
        return (self._node.get_clock().now().nanoseconds - stamp_ns(header)) / 1e9


def _without_removed(masks: Masks, names: dict[int, str], wanted: set[int]) -> tuple[Masks, dict[int, str]]:
    """What was removed while the networks ran is not published."""
    kept = np.array([identity in wanted for identity in masks.object_ids.tolist()], bool)
    return masks.select(kept), {i: name for i, name in names.items() if i in wanted}
