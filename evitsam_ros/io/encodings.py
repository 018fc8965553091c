# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/Image and CompressedImage -> RGB, with as few copies as the encoding allows; and bytes back.

Any object with the message's fields will do, as those that are read from bags.
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
        message: a sensor_msgs/Image, or what has its fields.
        limits: black and white of encodings that fix no white, see :func:`.intensity.to_uint8`.

    Raises:
        ImageError: naming what is wrong with size, step, data or encoding.
    """
    return Frame(message_to_rgb(message, limits), stamp_seconds(message.header), message.header.frame_id)


def compressed_to_frame(message: Any, limits: Limits | None = None) -> Frame:
    """Decode a JPEG, PNG or TIFF.

    Args:
        message: a sensor_msgs/CompressedImage, or what has its fields.
        limits: black and white of 16-bit and float images, see :func:`.intensity.to_uint8`.

    Raises:
        ImageError: the data is no image, or one that is too large; that is found out before it is decoded.
    """
    rgb = file_to_rgb(decode_file(message), CompressedFormat.parse(message.format), limits)
    return Frame(rgb, stamp_seconds(message.header), message.header.frame_id)


def byte_array(values: np.ndarray) -> array.array:
    """Copy the bytes of an ndarray, row by row, into an array that rclpy takes without another copy."""
    data = array.array("B")
    data.frombytes(np.ascontiguousarray(values).view(np.uint8).data.cast("B"))
    return data
