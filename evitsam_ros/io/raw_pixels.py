# SPDX-License-Identifier: Apache-2.0
"""Convert the bytes of a sensor_msgs/Image to arrays, by its size, step and byte order.

Any object with the fields of the message is accepted, as those that rosbags reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

#: A message beyond these is taken to be damaged: pixels a side, and pixels.
MAX_SIDE, MAX_PIXELS = 16384, 2**26


class ImageError(ValueError):
    """A message that holds no usable image."""


def check_size(height: int, width: int) -> None:
    """Check a size in pixels.

    Raises:
        ImageError: A side or the area is zero, or larger than that of any camera.
    """
    if not 0 < height <= MAX_SIDE or not 0 < width <= MAX_SIDE:
        raise ImageError(f"image is {width}x{height}; expected 1 to {MAX_SIDE} pixels a side")
    if height * width > MAX_PIXELS:
        raise ImageError(f"image is {width}x{height}; expected at most {MAX_PIXELS} pixels")


def packed_pixels(message: Any, channels: int = 1, kind: str = "u1") -> np.ndarray:
    """Return ``(H, W, C)`` pixels in native byte order; bytes are a read-only view of the message.

    Args:
        message: A sensor_msgs/Image, or an object with its fields.
        channels: values of a pixel.
        kind: numpy's name of a value's type, without byte order.

    Raises:
        ImageError: Size, step or data are invalid; the message names which.
    """
    height, width, step = message.height, message.width, message.step
    check_size(height, width)
    order = ">" if message.is_bigendian else "<"
    dtype = np.dtype(order + kind)
    row = width * channels * dtype.itemsize
    if step < row:
        raise ImageError(f"step is {step}; expected at least {row} for {width} pixels of {message.encoding}")
    # The last row may come without its padding.
    if len(message.data) < step * (height - 1) + row:
        raise ImageError(
            f"data has {len(message.data)} bytes; expected {step * height} for {width}x{height} "
            f"{message.encoding} with step {step}"
        )
    raw = np.frombuffer(message.data, np.uint8)
    if dtype.itemsize == 1:
        strides = (step, channels, 1)
        pixels = np.lib.stride_tricks.as_strided(raw, (height, width, channels), strides, writeable=False)
        return pixels.view(dtype)
    rows = np.lib.stride_tricks.as_strided(raw, (height, row), (step, 1), writeable=False)
    values = np.ascontiguousarray(rows).view(dtype).reshape(height, width, channels)
    return values.astype(dtype.newbyteorder("="), copy=False)


def planes(message: Any, shares: Sequence[tuple[Fraction, Fraction]]) -> list[np.ndarray]:
    """Return the planes ``(h, w)`` uint8 of an image with planar channels.

    Args:
        message: A sensor_msgs/Image, or an object with its fields.
        shares: rows and bytes a row of every plane, as shares of the image's height and width.

    Raises:
        ImageError: Size, step or data are invalid; the message names which.
    """
    height, width, step = message.height, message.width, message.step
    check_size(height, width)
    sizes = [(int(height * rows), int(width * columns)) for rows, columns in shares]
    tight = sum(rows * columns for rows, columns in sizes)
    # Drivers define the step of planes differently; this number of bytes has no padding.
    step = width if len(message.data) == tight else step
    if step < width:
        raise ImageError(
            f"step is {step}; expected at least {width} for {width} pixels of {message.encoding}"
        )
    strides = [int(step * columns) for _, columns in shares]
    ends = np.cumsum([rows * stride for (rows, _), stride in zip(sizes, strides, strict=True)])
    if len(message.data) < ends[-1] - strides[-1] + sizes[-1][1]:
        raise ImageError(
            f"data has {len(message.data)} bytes; expected {ends[-1]} for {width}x{height} "
            f"{message.encoding} with step {step}"
        )
    raw = np.frombuffer(message.data, np.uint8)
    starts = [0, *ends[:-1].tolist()]
    return [
        np.lib.stride_tricks.as_strided(raw[start:], size, (stride, 1), writeable=False)
        for start, size, stride in zip(starts, sizes, strides, strict=True)
    ]
