# SPDX-License-Identifier: Apache-2.0
"""Convert sensor_msgs/Image and CompressedImage to frames, with as few copies as the encoding allows.

Any object with the fields of the message is accepted, as those that rosbags reads.
"""

from __future__ import annotations

import array
from typing import TYPE_CHECKING, Any

import numpy as np

from ..segment import Frame
from .compressed_image import CompressedFormat, decode_file, file_to_rgb
from .pixel_layouts import message_to_rgb
from .raw_pixels import MAX_PIXELS, MAX_SIDE, ImageError

if TYPE_CHECKING:
    from .intensity import Limits

__all__ = [
    "MAX_PIXELS",
    "MAX_SIDE",
    "ImageError",
    "byte_array",
    "compressed_to_frame",
    "image_to_frame",
    "stamp_seconds",
]


def stamp_seconds(header: Any) -> float:
    """Return the stamp of a ``std_msgs/Header`` in seconds."""
    return header.stamp.sec + header.stamp.nanosec * 1e-9


def image_to_frame(message: Any, limits: Limits | None = None) -> Frame:
    """Convert an Image; rgb8 is a view of the message's own bytes.

    Args:
        message: A sensor_msgs/Image, or an object with its fields.
        limits: Black and white of encodings that fix no white, see :func:`.intensity.to_uint8`.

    Raises:
        ImageError: Size, step, data or encoding are invalid; the message names which.
    """
    return Frame(message_to_rgb(message, limits), stamp_seconds(message.header), message.header.frame_id)


def compressed_to_frame(message: Any, limits: Limits | None = None) -> Frame:
    """Decode a JPEG, PNG or TIFF.

    Args:
        message: A sensor_msgs/CompressedImage, or an object with its fields.
        limits: Black and white of 16-bit and float images, see :func:`.intensity.to_uint8`.

    Raises:
        ImageError: The data are no image, or one that is too large. Both are detected before decoding.
    """
    rgb = file_to_rgb(decode_file(message), CompressedFormat.parse(message.format), limits)
    return Frame(rgb, stamp_seconds(message.header), message.header.frame_id)


def byte_array(values: np.ndarray) -> array.array:
    """Copy the bytes of an ndarray, row by row, into an array that rclpy takes without another copy."""
    data = array.array("B")
    if values.size:  # a memoryview of no bytes cannot be cast
        data.frombytes(np.ascontiguousarray(values).view(np.uint8).data.cast("B"))
    return data
