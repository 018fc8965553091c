# SPDX-License-Identifier: Apache-2.0
"""The inference thread of a configured node: it owns the networks, and opens them again when they fail.

After :meth:`Inference.stop` a thread that still works on a long frame changes nothing outside of this object.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import rclpy

from ..segment import Segmenter
from ..tensorrt.background import EngineSwitch, build_command
from .camera_pipeline import CameraPipeline
from .diagnostics import CameraDiagnostics
from .frame_scheduler import FrameScheduler, InferenceThread
from .pending_prompts import FrameRequest
from .recovery import Recovery

#: Seconds between two log lines on frames that cannot be encoded together.
THROTTLE = 2.0


class Inference:
    """Frames of all cameras, one after the other, on one runtime.

    Args:
        cameras: in the order of ``turns``.
        turns: whose frame is next.
        segmenter: opened as configured.
        options: as configured.
        report_error: told (health, kind, text) of what fails for one camera.
        report_error_for_all: told (kind, text) of what fails for all.
        logger: of the node.

    Attributes:
        segmenter: on the runtime that is used now.
        worker: the thread.
    """

    def __init__(
        self,
        cameras: Sequence[CameraPipeline],
        turns: FrameScheduler[FrameRequest],
        segmenter: Segmenter,
        options: dict[str, Any],
        report_error: Callable[[CameraDiagnostics, str, str], None],
        report_error_for_all: Callable[[str, str], None],
        logger: Any,
    ) -> None:
        self.segmenter = segmenter
        self._cameras, self._turns, self._options = cameras, turns, options
        self._report_error, self._report_error_for_all, self._logger = (
            report_error,
            report_error_for_all,
            logger,
        )
        self._recovery = Recovery(len(cameras))
        self._switch: EngineSwitch[Segmenter] | None = None
        self.worker: InferenceThread[FrameRequest] = InferenceThread(
            turns, self._answer, self._failed, self._embed_together, lambda: self.segmenter.runtime.batch
        )

    def build_engines(self) -> None:
        """Build engines in a process of its own; the first frame after they are open is theirs."""
        bundle, threads = self.segmenter.bundle.folder, self._options["threads"]
        self._logger.info("building TensorRT engines meanwhile; this takes minutes, once")
        self._switch = EngineSwitch(
            build_command(bundle),
            lambda: Segmenter.open(bundle, "tensorrt", threads),
            lambda reason: self._report_error_for_all("engine_build", reason),
            drop=Segmenter.close,
        )

    def stop(self) -> None:
        """End the thread after its frame and close the networks; a thread that hangs keeps its own."""
        ended = self.worker.stop()
        if not ended:
            self._report_error_for_all("inference_errors", "the inference thread hangs; it is left behind")
        if self._switch is not None:
            self._switch.stop()
            self._switch = None
        if ended:  # what a hanging inference uses is not freed under it
            self.segmenter.close()

    # Inference thread ------------------------------------------------------------------------------

    def _answer(self, camera: int, job: FrameRequest) -> None:
        if self._switch is not None and (engines := self._switch.take()) is not None:
            self._use(engines)
        if job.order is None and self._recovery.pause(camera):
            self._cameras[camera].health.count("frames_skipped_after_errors")
            return
        if self._cameras[camera].answer(job):
            self._recovery.succeeded(camera)

    def _embed_together(self, turns: list[tuple[int, FrameRequest]]) -> None:
        """One encoder call for frames of several cameras.

        Where it fails, each is encoded by itself: that shows whose frame it was.
        """
        ready = [(camera, job) for camera, job in turns if not self._recovery.pause(camera)]
        frames = [self._cameras[camera].frame_ahead(job) for camera, job in ready]
        try:
            self.segmenter.embed_ahead([frame for frame in frames if frame is not None])
        except Exception as error:
            for camera, _ in ready:
                self._cameras[camera].health.count("joint_inference_errors")
            self._logger.warning(
                f"frames of several cameras cannot be encoded together: {type(error).__name__}: {error}",
                throttle_duration_sec=THROTTLE,
            )

    def _failed(self, camera: int, error: Exception) -> None:
        """A frame could not be answered: nothing is published for it."""
        if not rclpy.ok():
            return
        self._report_error(
            self._cameras[camera].health, "inference_errors", f"{type(error).__name__}: {error}"
        )
        if self._recovery.failed(camera):
            self._open_anew()
        # What was asked about waits until the pause is over.
        self._turns.hold(camera, self._recovery.pause(camera))

    def _open_anew(self) -> None:
        """The networks as configured again, on the next runtime where there is a choice."""
        bundle, options = self.segmenter.bundle, self._options
        self._recovery.give_up(self.segmenter.runtime.backends)
        try:
            opened = Segmenter.open(
                bundle.folder, options["backend"], options["threads"], self._recovery.avoid
            )
            if opened.bundle.description != bundle.description:
                raise ValueError(
                    f"{bundle.folder} has changed; configure the node again to use what it holds"
                )
            self._use(opened)
        except Exception as error:
            self._report_error_for_all("inference_errors", f"the networks cannot be opened anew: {error}")

    def _use(self, segmenter: Segmenter) -> None:
        if self._turns.closed:
            segmenter.close()
            return
        before, self.segmenter = self.segmenter, segmenter
        for camera in self._cameras:
            camera.use(segmenter)
        before.close()
        self._logger.info(f"switched: {segmenter.description}")
