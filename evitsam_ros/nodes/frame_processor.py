# SPDX-License-Identifier: Apache-2.0
"""Process the frames of one camera: convert, segment, publish. Used by the inference thread."""

from __future__ import annotations

import time

import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from ..io.encodings import ImageError, compressed_to_frame, image_to_frame
from ..segment import Frame, Masks
from .camera_context import CameraContext
from .empty_outputs import EmptyOutputs
from .frame_request import FrameRequest, PreparedFrame, RequestQueue
from .frame_segmenter import FrameSegmenter
from .instances import labels_of
from .object_clicks import ShownObjects
from .parameters import SegmenterParameters
from .pending_prompts import PendingPrompts
from .prompt_updates import ActivePrompts
from .publishers import Publishers
from .recent_images import stamp_ns

#: Why a frame was not processed.
NO_SUBSCRIBER = "the outputs have no subscriber"


class FrameProcessor:
    """Turn requests into published masks.

    Args:
        context: of the camera.
        topic: of the images, for errors.
        pending: drops and reports the updates of frames that are not processed.
        requests: knows the camera's session.
        segmenter: makes the masks.
        publishers: of the camera.
        empty: replaces answers that are no longer true.
        shown: gets the objects that were published.
    """

    def __init__(
        self,
        context: CameraContext,
        topic: str,
        pending: PendingPrompts,
        requests: RequestQueue,
        segmenter: FrameSegmenter,
        publishers: Publishers,
        empty: EmptyOutputs[Masks],
        shown: ShownObjects,
    ) -> None:
        self._context, self._topic, self._prompts = context, topic, context.prompts
        self._pending, self._requests = pending, requests
        self._segmenter, self._publishers = segmenter, publishers
        self._empty, self._shown = empty, shown

    def prepare(self, request: FrameRequest) -> Frame | None:
        """Convert the image of a request that :meth:`process` will encode; None if it need not be."""
        self._publishers.expect_depth(request.message.header)
        everything = self._context.parameters().mode == "everything"
        is_needed = everything or request.update is not None or self._prompts.all()
        if not is_needed or not self._publishers.have_subscribers():
            return None
        return self._frame(request.message)

    def process(self, request: FrameRequest, prepared: PreparedFrame | None = None) -> bool:
        """Publish the masks of a frame.

        Args:
            request: the frame.
            prepared: earlier computations for it.

        Returns:
            Whether the networks have run.
        """
        self._publishers.expect_depth(request.message.header)
        parameters = self._context.parameters()
        if self._is_late(request) or not self._pending.accepts_request(request, parameters.mode):
            return False
        active = self._prompts.begin(
            request.update,
            track=parameters.enable_tracking,
            beside=parameters.mode == "everything",
        )
        if active is None:
            return False
        reason, has_run = "inference failed", False
        try:
            with self._empty.work():
                reason, has_run = self._process(request, prepared, active, parameters)
        finally:
            dropped = self._prompts.finish(active, processed=not reason, keep=parameters.enable_tracking)
            if dropped is not None and dropped.is_array and reason == NO_SUBSCRIBER:
                self._context.diagnostics.count("prompts_without_listener")  # a detector runs on
            elif dropped is not None:
                self._pending.report_dropped(dropped, reason)
        return has_run

    def _process(
        self,
        request: FrameRequest,
        prepared: PreparedFrame | None,
        active: ActivePrompts,
        parameters: SegmenterParameters,
    ) -> tuple[str, bool]:
        """Return why a frame was not processed, empty if it was; and whether the networks have run."""
        start, diagnostics = time.perf_counter(), self._context.diagnostics
        if not self._publishers.have_subscribers():
            diagnostics.count("frames_without_listener")
            return NO_SUBSCRIBER, False
        frame = prepared.frame if prepared is not None else self._frame(request.message)
        if frame is None:
            return "the image cannot be used", False
        converted = time.perf_counter()
        embedding = prepared.embedding if prepared is not None else None
        prompted = active.ids
        masks, names = self._segmenter.segment(frame, embedding, list(active.objects), parameters, request)
        segmented, timings = time.perf_counter(), masks.timings
        with self._empty.lock:
            if self._is_late(request):
                diagnostics.count("answers_not_published")
                return "the node was disabled or deactivated meanwhile", "encode" in timings
            removed = prompted - self._prompts.active_ids(active)
            if removed:
                masks, names = _without(masks, names, removed)
            self._publishers.publish(
                request.message.header, frame, masks, names, parameters, labels_of(active.objects, names)
            )
            self._shown.update(masks, active.born)
            no_masks = masks.select(np.zeros(0, int))
            self._empty.answered(request.message.header, no_masks, parameters.job)
        end = time.perf_counter()
        stages = {"convert": converted - start, **timings, "publish": end - segmented, "total": end - start}
        age = (self._context.now_ns() - stamp_ns(request.message.header)) / 1e9
        diagnostics.frame_out(stages, age, parameters.max_latency_s)
        return "", "encode" in timings

    def _is_late(self, request: FrameRequest) -> bool:
        """Return whether the node is, or was, disabled or inactive since the frame arrived."""
        return request.session != self._requests.session or not self._context.is_accepting()

    def _frame(self, message: Image | CompressedImage) -> Frame | None:
        """Convert a message; report an image that cannot be used, and return None."""
        limits = self._context.parameters().intensity_range
        try:
            if isinstance(message, CompressedImage):
                return compressed_to_frame(message, limits)
            return image_to_frame(message, limits)
        except ImageError as error:
            self._context.report_error("bad_images", f"{self._topic}: {error}")
            return None


def _without(masks: Masks, names: dict[int, str], removed: set[int]) -> tuple[Masks, dict[int, str]]:
    """Take out the masks and names of objects that were removed while the networks ran."""
    kept = np.array([identity not in removed for identity in masks.object_ids.tolist()], bool)
    return masks.select(kept), {i: name for i, name in names.items() if i not in removed}
