# SPDX-License-Identifier: Apache-2.0
"""Take the images of one camera: keep them, watch for losses, and submit those that are to be processed."""

from __future__ import annotations

import time

from sensor_msgs.msg import CompressedImage, Image

from .camera_context import CameraContext
from .frame_loss import FrameLossReport
from .frame_request import RequestQueue
from .pending_prompts import PendingPrompts
from .recent_images import RecentImages, stamp_ns

#: A frame may come earlier than ``max_rate_hz`` allows by this share of the period: cameras jitter.
RATE_TOLERANCE = 0.05


class ImageIntake:
    """Receive the images of one camera. Used by the executor's thread.

    Args:
        context: of the camera.
        topic: of the images, for errors.
        images: buffer of images for prompts with stamps.
        pending: prompts that may wait for an image.
        requests: queue to submit frames to.
    """

    def __init__(
        self,
        context: CameraContext,
        topic: str,
        images: RecentImages,
        pending: PendingPrompts,
        requests: RequestQueue,
    ) -> None:
        self._context = context
        self._images, self._pending, self._requests = images, pending, requests
        self._losses = FrameLossReport(context.diagnostics, topic)
        self._last_submitted = 0.0

    def on_image(self, message: Image | CompressedImage) -> None:
        """Keep a frame, and submit it if it is to be processed."""
        if not self._context.is_accepting():
            return
        diagnostics = self._context.diagnostics
        diagnostics.frame_in()
        self._images.add(message)
        self._losses.add(stamp_ns(message.header) / 1e9)
        if self._pending.submit_matches(message):
            return
        if self._context.parameters().mode == "on_request" or self._pending.only_prompted_frames():
            diagnostics.count("frames_not_asked_about")
            return
        now, max_rate = time.monotonic(), self._context.parameters().max_rate_hz
        if max_rate is not None and now - self._last_submitted < (1 - RATE_TOLERANCE) / max_rate:
            diagnostics.count("frames_skipped_by_max_rate")
            return
        self._last_submitted = now
        self._requests.submit_latest(message)
