# SPDX-License-Identifier: Apache-2.0
"""Run the networks of a configured node in a separate thread, and reopen them when they fail.

After :meth:`Inference.stop` a thread that still processes a long frame changes only this object.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import rclpy

from ..backends.tensorrt.background_build import EngineSwitch, build_command
from ..malloc import give_back_memory
from ..segment import Embedding, Frame, Segmenter
from .camera_pipeline import CameraPipeline
from .frame_request import FrameRequest, PreparedFrame
from .frame_scheduler import FrameScheduler
from .inference_thread import InferenceThread
from .measured_runtime import MeasuredRuntime, run_networks
from .parameters import SegmenterParameters
from .recovery import Recovery

#: Seconds between two log lines on frames that cannot be encoded together.
THROTTLE = 2.0


class Inference:
    """Process the frames of all cameras, one after the other, on one runtime.

    Args:
        pipelines: the cameras in the order of ``scheduler``.
        scheduler: chooses the next frame.
        segmenter: opened as configured.
        parameters: as configured.
        report_error_for_all: called with (kind, text) of a failure that concerns all cameras.
        logger: of the node.

    Attributes:
        segmenter: on the runtime that is used now.
    """

    def __init__(
        self,
        pipelines: Sequence[CameraPipeline],
        scheduler: FrameScheduler[FrameRequest],
        segmenter: Segmenter,
        parameters: SegmenterParameters,
        report_error_for_all: Callable[[str, str], None],
        logger: Any,
    ) -> None:
        self.segmenter = segmenter
        self._pipelines, self._scheduler, self._parameters = pipelines, scheduler, parameters
        self._report_error_for_all, self._logger = report_error_for_all, logger
        self._recovery = Recovery(len(pipelines))
        self._switches: list[EngineSwitch[Segmenter]] = []
        self._measured: MeasuredRuntime[Segmenter] | None = MeasuredRuntime(
            segmenter,
            partial(Segmenter.open, segmenter.bundle.folder, threads=parameters.threads),
            lambda opened: run_networks(opened, parameters.mode, parameters.max_prompts),
            logger,
            self._warn,
            is_auto=(parameters.backend, parameters.precision) == ("auto", "auto"),
        )
        self._note_choice()
        self._thread: InferenceThread[FrameRequest, PreparedFrame] = InferenceThread(
            scheduler,
            self._process,
            self._on_error,
            self._prepare_batch,
            lambda: self.segmenter.runtime.batch,
        )

    @property
    def busy_for(self) -> float:
        """Return the seconds since the work on the current frame began; 0 when there is none."""
        return self._thread.busy_for

    @property
    def dropped(self) -> list[int]:
        """Return the number of frames of each camera that were replaced or withdrawn."""
        return self._scheduler.dropped

    def build_engines(self) -> None:
        """Build engines in a process of its own, and use them as soon as they are open."""
        self._measured = None  # the CPU serves for some minutes only
        bundle, threads = self.segmenter.bundle.folder, self._parameters.threads
        self._logger.info("building TensorRT engines in the background; this takes minutes, once")
        switch = EngineSwitch(
            build_command(bundle),
            lambda: Segmenter.open(bundle, "tensorrt", threads),
            lambda reason: self._report_error_for_all("engine_build", reason),
            drop=Segmenter.close,
        )
        self._switches.append(switch)

    def stop(self) -> bool:
        """End the thread after its frame and close the networks; those of a hanging thread stay open.

        Returns:
            Whether the thread has ended, so that the networks are no longer in use.
        """
        has_ended = self._thread.stop()
        if not has_ended:
            self._report_error_for_all("inference_errors", "the inference thread hangs; it is abandoned")
        for switch in self._switches:
            switch.stop()
        self._switches = []
        if has_ended:  # a hanging thread still uses the networks
            self.segmenter.close()
        return has_ended

    # Inference thread ------------------------------------------------------------------------------

    def _process(self, camera: int, request: FrameRequest, prepared: PreparedFrame | None) -> None:
        for switch in self._switches:
            if (engines := switch.take()) is not None:
                self._use(engines)
        pipeline = self._pipelines[camera]
        if request.update is None and request.task is None and self._recovery.pause(camera):
            pipeline.context.diagnostics.count("frames_skipped_after_errors")
            return
        if pipeline.process(request, prepared):
            self._recovery.succeeded(camera)
            self._measure()

    def _measure(self) -> None:
        """Measure the backends of a CPU, from the first published masks on."""
        measured, self._measured = self._measured, None
        if measured is not None and (switch := measured.start()) is not None:
            self._switches.append(switch)

    def _prepare_batch(self, batch: list[tuple[int, FrameRequest]]) -> list[PreparedFrame | None]:
        """Convert the frames of several cameras, and encode them in one call.

        Where that fails, each is encoded by itself: that shows which camera's frame is the cause.
        """
        frames = [
            None if self._recovery.pause(camera) else self._pipelines[camera].prepare(request)
            for camera, request in batch
        ]
        ready = [index for index, frame in enumerate(frames) if frame is not None]
        embeddings: list[Embedding | None] = [None] * len(batch)
        if len(ready) > 1:
            try:
                found = self.segmenter.embed_batch([cast("Frame", frames[index]) for index in ready])
                embeddings = [found[ready.index(i)] if i in ready else None for i in range(len(batch))]
            except Exception as error:
                self._report_batch([batch[index][0] for index in ready], error)
        return [
            PreparedFrame(frame, embedding) if frame is not None else None
            for frame, embedding in zip(frames, embeddings, strict=True)
        ]

    def _report_batch(self, cameras: Sequence[int], error: Exception) -> None:
        for camera in cameras:
            self._pipelines[camera].context.diagnostics.count("joint_inference_errors")
        self._logger.warning(
            f"frames of several cameras cannot be encoded together: {type(error).__name__}: {error}",
            throttle_duration_sec=THROTTLE,
        )

    def _on_error(self, camera: int, error: Exception) -> None:
        """Report a failed frame, which has no output."""
        if not rclpy.ok():
            return
        context = self._pipelines[camera].context
        context.report_error("inference_errors", f"{type(error).__name__}: {error}")
        if self._recovery.failed(camera):
            self._reopen()
        # Prompted frames wait until the pause is over.
        self._scheduler.hold(camera, self._recovery.pause(camera))

    def _reopen(self) -> None:
        """Open the networks again as configured, on the next runtime where there is a choice."""
        bundle, parameters = self.segmenter.bundle, self._parameters
        self._recovery.exclude_runtime(self.segmenter.runtime.backends)
        try:
            opened = Segmenter.open(
                bundle.folder,
                parameters.backend,
                parameters.threads,
                self._recovery.exclude,
                precision=parameters.precision,
            )
            if opened.bundle.description != bundle.description:
                raise ValueError(f"{bundle.folder} has changed; configure the node again to use it")
            self._use(opened)
        except Exception as error:
            self._report_error_for_all("inference_errors", f"the networks cannot be reopened: {error}")

    def _use(self, segmenter: Segmenter) -> None:
        if self._scheduler.closed:
            segmenter.close()
            return
        before, self.segmenter = self.segmenter, segmenter
        for pipeline in self._pipelines:
            pipeline.use(segmenter)
        before.close()
        give_back_memory()
        self._logger.info(f"switched: {segmenter.description}")
        self._note_choice()

    def _note_choice(self) -> None:
        """Publish the measurements and the choice in the diagnostics."""
        if (choice := self.segmenter.runtime.choice) is not None:
            for pipeline in self._pipelines:
                pipeline.context.diagnostics.note("backend_choice", [choice])

    def _warn(self, text: str) -> None:
        self._logger.warning(text)
        for pipeline in self._pipelines:
            pipeline.context.diagnostics.warn("backend_choice", text)
