# SPDX-License-Identifier: Apache-2.0
"""Compressed outputs under image_transport's names and formats, encoded in a thread of their own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from typing import Any

import cv2
import numpy as np
import rclpy
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from ..io.encodings import byte_array
from ..threads import join_os_thread
from .camera_context import ReportError
from .managed_entities import ManagedEntities
from .qos import results, transport_topic

#: Output -> the field ``format`` as image_transport writes it. After ``compressed`` comes the encoding of the
#: pixels in the file, omitted without a conversion; the blank before it stays.
FORMATS = {
    "overlay": "rgb8; jpeg compressed bgr8",
    "mask": "mono8; png compressed ",
    "label_map": "mono16; png compressed ",
}
#: Level of PNG: higher ones take many times as long and save little on masks.
PNG_LEVEL = 1
#: Seconds to wait for the thread at its end.
STOP_TIMEOUT = 10.0


def format_of(output: str, pixels: np.ndarray) -> str:
    """Return the field ``format`` of an output; label maps have 8 or 16 bits."""
    is_small = output == "label_map" and pixels.dtype == np.uint8
    return FORMATS["mask" if is_small else output]


def encode(output: str, pixels: np.ndarray, jpeg_quality: int) -> np.ndarray:
    """Encode an output as image_transport's plugin does.

    Args:
        output: a name of :data:`FORMATS`.
        pixels: ``(H, W, 3)`` uint8 RGB, or ``(H, W)`` uint8 or uint16.
        jpeg_quality: 1 to 100; PNG is lossless.

    Returns:
        ``(N,)`` uint8, the bytes of the file.
    """
    if "jpeg" in FORMATS[output]:
        bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])[1]
    return cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])[1]


class CompressedOutputs:
    """``overlay/compressed``, ``mask/compressed`` and ``label_map/compressed`` of one camera.

    The newest image of each output waits for the thread; it replaces one that still waits. The thread starts
    with the first image.

    Args:
        node: resolves topics.
        entities: makes the publishers.
        prefix: before every name: ``~/``, or ``~/CAMERA/``.
        jpeg_quality: returns the current quality, 1 to 100.
        report_error: called with ``("compression_errors", text)``.
        outputs: those of :data:`FORMATS` that the node has.
    """

    def __init__(
        self,
        node: Any,
        entities: ManagedEntities,
        prefix: str,
        jpeg_quality: Callable[[], int],
        report_error: ReportError,
        outputs: Collection[str] = tuple(FORMATS),
    ) -> None:
        self._jpeg_quality, self._report_error = jpeg_quality, report_error
        self._publishers = {
            name: entities.publisher(
                CompressedImage, transport_topic(node, prefix + name, "compressed"), results()
            )
            for name in outputs
        }
        self._changed = threading.Condition()
        self._waiting: dict[str, tuple[Header, np.ndarray]] = {}
        self._is_encoding = False
        self._is_stopped = False
        self._thread: threading.Thread | None = None

    def subscribed(self) -> set[str]:
        """Return the outputs with a subscriber to their compressed form."""
        return {name for name, made in self._publishers.items() if made.get_subscription_count() > 0}

    def publish(self, output: str, header: Header, pixels: np.ndarray) -> None:
        """Let an image be encoded and published; the array must not be written to afterwards."""
        with self._changed:
            if self._is_stopped:
                return
            self._waiting.pop(output, None)
            self._waiting[output] = header, pixels
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="compression", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait until all images are published; return False after ``timeout`` seconds."""
        end = time.monotonic() + timeout
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._waiting and not self._is_encoding, max(0.0, end - time.monotonic())
            )

    def stop(self) -> None:
        """End the thread; images that wait are dropped."""
        with self._changed:
            self._is_stopped = True
            self._waiting.clear()
            self._changed.notify_all()
        if self._thread is not None:
            join_os_thread(self._thread, STOP_TIMEOUT)

    def _run(self) -> None:
        while (turn := self._take()) is not None:
            output, header, pixels = turn
            try:
                data = encode(output, pixels, self._jpeg_quality())
                form = format_of(output, pixels)
                message = CompressedImage(header=header, format=form, data=byte_array(data))
                self._publishers[output].publish(message)
            except Exception as error:
                if rclpy.ok():
                    self._report_error(
                        "compression_errors", f"{output}/compressed: {type(error).__name__}: {error}"
                    )

    def _take(self) -> tuple[str, Header, np.ndarray] | None:
        with self._changed:
            self._is_encoding = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._is_stopped)
            if self._is_stopped:
                return None
            output = next(iter(self._waiting))
            self._is_encoding = True
            return output, *self._waiting.pop(output)
