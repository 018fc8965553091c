# SPDX-License-Identifier: Apache-2.0
"""A request to process a frame, and the requests of one camera in the scheduler that all cameras share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sensor_msgs.msg import CompressedImage, Image

from ..segment import Embedding, Frame, Segmenter
from .frame_scheduler import FrameScheduler


class FrameTask(Protocol):
    """Work on one frame without publishing the result."""

    def run(self, segmenter: Segmenter) -> bool:
        """Do the work; return whether the networks have run."""
        ...


@dataclass(frozen=True, eq=False)
class FrameRequest:
    """A frame to process.

    Attributes:
        message: the image.
        update: number of the prompt update that it is processed for; None: the stored prompts apply.
        session: of the camera when the frame arrived, see :class:`RequestQueue`.
        received: when the frame was submitted, seconds of the monotonic clock.
        task: done in place of publishing masks; None: the frame's masks are published.
    """

    message: Image | CompressedImage
    update: int | None
    session: int
    received: float
    task: FrameTask | None = None


@dataclass(frozen=True, eq=False)
class PreparedFrame:
    """Hold the results that were computed for a request in a batch with other cameras.

    Attributes:
        frame: the converted image.
        embedding: of the frame; None if the frames could not be encoded in a batch.
    """

    frame: Frame
    embedding: Embedding | None = None


class RequestQueue:
    """Put the frames of one camera into the scheduler, and withdraw them.

    Args:
        scheduler: shared by all cameras.
        camera: index of the camera in the scheduler.

    Attributes:
        session: grows with every pause; a frame of an earlier session is not processed.
    """

    def __init__(self, scheduler: FrameScheduler[FrameRequest], camera: int) -> None:
        self._scheduler, self._camera = scheduler, camera
        self.session = 0

    def submit_latest(self, message: Image | CompressedImage) -> None:
        """Submit the camera's newest frame; it replaces one that waits."""
        self._scheduler.put_latest(self._request(message), self._camera)

    def submit_prompted(self, message: Image | CompressedImage, update: int) -> bool:
        """Submit the frame of a prompt update; return False when too many wait."""
        return self._scheduler.submit_request(self._request(message, update), self._camera)

    def submit_task(self, message: Image | CompressedImage, task: FrameTask) -> bool:
        """Submit a frame with work to do on it; return False when too many frames wait."""
        return self._scheduler.submit_request(self._request(message, task=task), self._camera)

    def withdraw(self, is_void: Callable[[FrameRequest], bool]) -> None:
        """Withdraw waiting frames; they count as dropped."""
        self._scheduler.withdraw(self._camera, is_void)

    def end_session(self) -> None:
        """Withdraw all frames that wait, and make the one in work late."""
        self.session += 1
        self.withdraw(lambda request: True)

    def _request(
        self, message: Image | CompressedImage, update: int | None = None, task: FrameTask | None = None
    ) -> FrameRequest:
        return FrameRequest(message, update, self.session, time.monotonic(), task)
