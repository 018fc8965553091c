# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/Image and CompressedImage -> RGB, with as few copies as the encoding allows; and bytes back.

Any object with the message's fields will do, as those that are read from bags.
"""

from __future__ import annotations

import array
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from .picture_header import HeaderError, picture_size
from .segment import Frame

#: Beyond these a message is taken for damaged rather than for a picture: pixels a side, and pixels.
MAX_SIDE, MAX_PIXELS = 16384, 2**26

_BAYER = {
    # OpenCV names a pattern by its second row and column, ROS by its first.
    "bayer_rggb8": cv2.COLOR_BayerBG2RGB,
    "bayer_bggr8": cv2.COLOR_BayerRG2RGB,
    "bayer_gbrg8": cv2.COLOR_BayerGR2RGB,
    "bayer_grbg8": cv2.COLOR_BayerGB2RGB,
}
_UYVY, _YUYV = cv2.COLOR_YUV2RGB_UYVY, cv2.COLOR_YUV2RGB_YUY2


def _convert(code: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda pixels: cv2.cvtColor(pixels, code)


#: Encoding -> (channels, conversion to RGB).
DECODERS: dict[str, tuple[int, Callable[[np.ndarray], np.ndarray]]] = {
    "rgb8": (3, lambda pixels: pixels),
    "8UC3": (3, _convert(cv2.COLOR_BGR2RGB)),
    "bgr8": (3, _convert(cv2.COLOR_BGR2RGB)),
    "rgba8": (4, _convert(cv2.COLOR_RGBA2RGB)),
    "bgra8": (4, _convert(cv2.COLOR_BGRA2RGB)),
    "8UC4": (4, _convert(cv2.COLOR_BGRA2RGB)),
    "mono8": (1, _convert(cv2.COLOR_GRAY2RGB)),
    "8UC1": (1, _convert(cv2.COLOR_GRAY2RGB)),
    "yuv422": (2, _convert(_UYVY)),
    "uyvy": (2, _convert(_UYVY)),
    "yuv422_yuy2": (2, _convert(_YUYV)),
    "yuyv": (2, _convert(_YUYV)),
    **{name: (1, _convert(code)) for name, code in _BAYER.items()},
}


class ImageError(ValueError):
    """A message that holds no usable picture."""


def stamp_seconds(header) -> float:
    return header.stamp.sec + header.stamp.nanosec * 1e-9


def unknown_encoding(message: Any) -> np.ndarray:
    """Refuse an Image whose encoding is none of :data:`DECODERS`."""
    raise ImageError(f"encoding is {message.encoding!r}; expected one of {', '.join(DECODERS)}")


def image_to_frame(message: Any, others: Callable[[Any], np.ndarray] = unknown_encoding) -> Frame:
    """Convert an Image; rgb8 without padding is a view of the message's own bytes.

    Args:
        message: a sensor_msgs/Image, or what has its fields.
        others: converts encodings that are not in :data:`DECODERS` to ``(H, W, 3)`` uint8 RGB.

    Raises:
        ImageError: naming what is wrong with size, step, data or encoding.
    """
    height, width, encoding = message.height, message.width, message.encoding
    _check_size(height, width)
    if encoding not in DECODERS:
        return Frame(others(message), stamp_seconds(message.header), message.header.frame_id)
    channels, convert = DECODERS[encoding]
    if message.step < width * channels:
        raise ImageError(
            f"step is {message.step}; expected at least {width * channels} for {width} pixels of {encoding}"
        )
    # The last row may come without its padding.
    needed = message.step * (height - 1) + width * channels
    if len(message.data) < needed:
        raise ImageError(
            f"data has {len(message.data)} bytes; expected {message.step * height} for {width}x{height} "
            f"{encoding} with step {message.step}"
        )
    if encoding.startswith("bayer") and (height < 2 or width < 2):
        raise ImageError(f"image is {width}x{height}; expected at least 2x2 for {encoding}")
    if channels == 2 and width % 2:
        raise ImageError(f"width is {width}; expected an even number for {encoding}")
    raw = np.frombuffer(message.data, np.uint8)
    shape, strides = (height, width, channels), (message.step, channels, 1)
    pixels = np.lib.stride_tricks.as_strided(raw, shape, strides, writeable=False)
    if channels == 1:
        pixels = pixels[..., 0]
    # OpenCV cannot read rows with gaps that are no multiple of a pixel.
    if convert is not DECODERS["rgb8"][1] and message.step % channels:
        pixels = np.ascontiguousarray(pixels)
    return Frame(convert(pixels), stamp_seconds(message.header), message.header.frame_id)


def compressed_to_frame(message: Any) -> Frame:
    """Decode a JPEG or PNG, as it lies: camera_info knows nothing of a turn that EXIF asks for.

    Raises:
        ImageError: the data is no picture, or one that is too large; that is found out before it is decoded.
    """
    raw = np.frombuffer(message.data, np.uint8)
    try:
        size = picture_size(raw.tobytes())
        _check_size(*size)
        decoded = cv2.imdecode(raw, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        reason = "" if decoded is not None and decoded.shape[:2] == size else "cannot be decoded"
    except (HeaderError, ImageError) as error:
        reason = str(error)
    except cv2.error as error:
        reason = f"cannot be decoded ({error.err})"
    if reason:
        raise ImageError(
            f"compressed image of {raw.size} bytes, format {message.format!r}, {reason}; "
            "expected a whole JPEG or PNG"
        )
    rgb = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
    return Frame(rgb, stamp_seconds(message.header), message.header.frame_id)


def byte_array(values: np.ndarray) -> array.array:
    """The bytes of an ndarray, row by row, as rclpy takes them over."""
    data = array.array("B")
    data.frombytes(np.ascontiguousarray(values).view(np.uint8).data.cast("B"))
    return data


def _check_size(height: int, width: int) -> None:
    if not 0 < height <= MAX_SIDE or not 0 < width <= MAX_SIDE:
        raise ImageError(f"image is {width}x{height}; expected 1 to {MAX_SIDE} pixels a side")
    if height * width > MAX_PIXELS:
        raise ImageError(f"image is {width}x{height}; expected at most {MAX_PIXELS} pixels")
