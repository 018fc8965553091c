# SPDX-License-Identifier: Apache-2.0
"""Find and publish the classes of images, in a thread of its own, and reopen the network when it fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import rclpy
from sensor_msgs.msg import CompressedImage, Image

from ..backends.tensorrt.background_build import EngineSwitch
from ..dense import SemanticSegmenter
from ..io.encodings import ImageError, compressed_to_frame, image_to_frame
from ..malloc import give_back_memory
from ..segment import Frame
from .camera_context import ReportError
from .diagnostics import CameraDiagnostics
from .empty_outputs import EmptyOutputs
from .frame_scheduler import FrameScheduler
from .inference_thread import InferenceThread
from .measured_runtime import MeasuredRuntime
from .recent_images import stamp_ns
from .recovery import Recovery
from .semantic_parameters import SemanticParameters
from .semantic_publishers import CONFIDENT, AnswerSize, SemanticPublishers


class SemanticInference:
    """Answer the newest image.

    Args:
        segmenter: opened as configured.
        parameters: returns the current parameters of the node.
        outputs: of the node.
        counters: the node's diagnostics.
        topic: of the images, for errors.
        report_error: counts, logs and publishes an error.
        logger: of the node.
        now_ns: returns the time of the node's clock, nanoseconds.

    Attributes:
        segmenter: on the runtime that is used now.
        empty: replaces answers that are no longer true.
    """

    def __init__(
        self,
        segmenter: SemanticSegmenter,
        parameters: Callable[[], SemanticParameters],
        outputs: SemanticPublishers,
        counters: CameraDiagnostics,
        topic: str,
        report_error: ReportError,
        logger: Any,
        now_ns: Callable[[], int],
    ) -> None:
        self.segmenter, self.empty = segmenter, EmptyOutputs[AnswerSize](parameters, outputs)
        self._parameters, self._outputs, self._counters = parameters, outputs, counters
        self._topic, self._report_error, self._logger, self._now_ns = topic, report_error, logger, now_ns
        self._recovery, self._session, self._is_paused = Recovery(), 0, False
        options = parameters()
        self._measured: MeasuredRuntime[SemanticSegmenter] | None = MeasuredRuntime(
            segmenter,
            partial(SemanticSegmenter.open, segmenter.bundle.folder, threads=options.threads),
            lambda opened: opened.logits(np.zeros((*opened.bundle.input_size, 3), np.uint8)),
            logger,
            self._warn,
            is_auto=(options.backend, options.precision) == ("auto", "auto"),
        )
        self._switch: EngineSwitch[SemanticSegmenter] | None = None
        self._note_choice()
        self._frames: FrameScheduler[Image | CompressedImage] = FrameScheduler()
        self._thread: InferenceThread[Image | CompressedImage, None] = InferenceThread(
            self._frames, self._process, self._on_error
        )

    # Executor's thread -----------------------------------------------------------------------------

    @property
    def busy_for(self) -> float:
        """Return the seconds since the work on the current image began; 0 when there is none."""
        return self._thread.busy_for

    @property
    def dropped(self) -> int:
        """Return the number of images that were replaced or withdrawn."""
        return self._frames.dropped[0]

    def submit(self, message: Image | CompressedImage) -> None:
        """Let an image be answered; it replaces one that waits."""
        self._frames.put_latest(message)

    def pause(self, reason: str) -> None:
        """Publish nothing from now on, not even of the image in work; replace the last answer."""
        self._is_paused, self._session = True, self._session + 1
        self._frames.withdraw(0, lambda message: True)
        self.empty.clear(reason)

    def resume(self) -> None:
        """Answer images again."""
        self._is_paused = False
        self.empty.resume()

    def stop(self) -> None:
        """End the thread after its image and free the network; a thread that hangs keeps its own."""
        self.pause("the node has ended")
        self._outputs.stop()
        has_ended = self._thread.stop()
        if self._switch is not None:
            self._switch.stop()
        if has_ended:
            self.segmenter.close()

    # Inference thread ------------------------------------------------------------------------------

    def _process(self, camera: int, message: Image | CompressedImage, prepared: None) -> None:
        """Publish the classes of an image."""
        session = self._session
        if self._switch is not None and (measured := self._switch.take()) is not None:
            self._use(measured)
        if self._recovery.pause():
            self._counters.count("frames_skipped_after_errors")
            return
        with self.empty.work():
            if self._answer(message, session):
                self._measure()

    def _answer(self, message: Image | CompressedImage, session: int) -> bool:
        """Answer an image; return whether the network has run."""
        start, parameters = time.perf_counter(), self._parameters()
        self._outputs.expect_depth(message.header)
        outputs = self._outputs.subscribed()
        if not outputs:
            self._counters.count("frames_without_listener")
            return False
        frame = self._frame(message)
        if frame is None:
            return False
        converted = time.perf_counter()
        found = self.segmenter.segment(
            frame.image,
            full_size=parameters.resolution == "image",
            only=parameters.classes,
            score_threshold=parameters.score_threshold,
            with_confidence=bool(outputs & CONFIDENT),
            confidence_of=parameters.confidence_class if "confidence" in outputs else None,
            tiles=parameters.tiles,
        )
        self._recovery.succeeded()
        segmented = time.perf_counter()
        with self.empty.lock:
            if self._is_paused or session != self._session:
                self._counters.count("answers_not_published")
                return True
            self._outputs.publish(outputs, message.header, frame, found, parameters.overlay_alpha)
            size = AnswerSize(frame.size, (found.labels.shape[0], found.labels.shape[1]))
            self.empty.answered(message.header, size, parameters.job)
        end = time.perf_counter()
        stages = {"convert": converted - start, **found.timings, "publish": end - segmented}
        age = (self._now_ns() - stamp_ns(message.header)) / 1e9
        self._counters.frame_out({**stages, "total": end - start}, age)
        return True

    def _frame(self, message: Image | CompressedImage) -> Frame | None:
        """Convert a message; report an image that cannot be used, and return None."""
        try:
            if isinstance(message, CompressedImage):
                return compressed_to_frame(message)
            return image_to_frame(message)
        except ImageError as error:
            self._report_error("bad_images", f"{self._topic}: {error}")
            return None

    def _measure(self) -> None:
        """Measure the backends of a CPU, from the first published label map on."""
        measured, self._measured = self._measured, None
        if measured is not None:
            self._switch = measured.start()

    def _on_error(self, camera: int, error: Exception) -> None:
        """Report an image that failed: nothing is published for it."""
        if not rclpy.ok():
            return
        self._report_error("inference_errors", f"{type(error).__name__}: {error}")
        if self._recovery.failed():
            self._reopen()

    def _reopen(self) -> None:
        """Open the network again, on the next runtime where there is a choice."""
        bundle, options = self.segmenter.bundle, self._parameters()
        self._recovery.exclude_runtime(self.segmenter.runtime.backends)
        try:
            opened = SemanticSegmenter.open(
                bundle.folder,
                options.backend,
                options.threads,
                self._recovery.exclude,
                precision=options.precision,
            )
        except Exception as error:
            self._report_error("inference_errors", f"the network cannot be reopened: {error}")
            return
        if opened.bundle.description != bundle.description:
            opened.close()
            self._report_error("inference_errors", f"{bundle.folder} has changed; restart the node")
            return
        self._use(opened)

    def _use(self, segmenter: SemanticSegmenter) -> None:
        """Continue on another runtime."""
        if self._frames.closed:
            segmenter.close()
            return
        before, self.segmenter = self.segmenter, segmenter
        before.close()
        give_back_memory()
        self._logger.info(f"switched: {segmenter.description}")
        self._note_choice()

    def _note_choice(self) -> None:
        """Publish in the diagnostics what was measured, and what was chosen."""
        if (choice := self.segmenter.runtime.choice) is not None:
            self._counters.note("backend_choice", [choice])

    def _warn(self, text: str) -> None:
        self._logger.warning(text)
        self._counters.warn("backend_choice", text)
