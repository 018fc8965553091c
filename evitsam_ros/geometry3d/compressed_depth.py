# SPDX-License-Identifier: Apache-2.0
"""Decode compressed depth to metres: image_transport's compressedDepth and compressed.

compressedDepth puts a header of twelve bytes before the data: a number and the floats a, b. Floating-point
depths are stored as 16-bit a / depth + b, and 0 where there is none; 16UC1 as it is. The data are a PNG, or
RVL after width and height. compressed holds 16UC1 as a PNG and 32FC1 as a TIFF.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from ..io.compressed_image import CompressedFormat, decode_bytes
from ..io.raw_pixels import ImageError, check_size
from .depth import METRES, DepthError, valid_metres
from .rvl import RvlError, decode

_HEADER, _SIZE = struct.Struct("<iff"), struct.Struct("<II")


def compressed_metres(message: Any) -> np.ndarray:
    """Return ``(H, W)`` float32 metres; NaN where there is no measurement.

    Raises:
        DepthError: The format is not one of depths, or the data are no image.
    """
    data, form = bytes(message.data), CompressedFormat.parse(message.format)
    try:
        if "compressedDepth" in message.format or not message.format.partition(";")[2]:
            return _with_header(data, form.encoding, message.format)
        return _file(data, form)
    except (ImageError, RvlError) as error:
        raise DepthError(
            f"compressed depth of {len(data)} bytes, format {message.format!r}, {error}"
        ) from error


def _with_header(data: bytes, encoding: str, text: str) -> np.ndarray:
    if encoding not in METRES:
        raise ImageError(f"has no encoding of depths; expected one of {', '.join(METRES)}")
    if len(data) <= _HEADER.size:
        raise ImageError("is cut off")
    _, a, b = _HEADER.unpack_from(data)
    body = data[_HEADER.size :]
    values = _rvl(body) if text.split()[-1] == "rvl" else decode_bytes(np.frombuffer(body, np.uint8))
    if values.dtype != np.uint16 or values.ndim != 2:
        raise ImageError(f"holds {values.dtype} with shape {values.shape}; expected 16 bits, one channel")
    if encoding != "32FC1":
        return valid_metres(values, METRES[encoding][1])
    if not np.isfinite([a, b]).all():
        raise ImageError(f"has quantisation parameters {a}, {b}; expected finite numbers")
    with np.errstate(divide="ignore", over="ignore"):
        depths = np.float32(a) / (values.astype(np.float32) - np.float32(b))
    depths[values == 0] = np.nan
    return valid_metres(depths)


def _rvl(body: bytes) -> np.ndarray:
    if len(body) < _SIZE.size:
        raise RvlError("is cut off")
    width, height = _SIZE.unpack_from(body)
    check_size(height, width)
    return decode(body[_SIZE.size :], width * height).reshape(height, width)


def _file(data: bytes, form: CompressedFormat) -> np.ndarray:
    values = decode_bytes(np.frombuffer(data, np.uint8))
    if values.ndim == 2 and values.dtype in (np.uint16, np.float32):
        return valid_metres(values, 0.001 if values.dtype == np.uint16 else 1.0)
    raise ImageError(
        f"holds {values.dtype} with shape {values.shape}; expected 16 bits as PNG or floats as TIFF "
        f"(of {form.encoding!r}: JPEG cannot hold depths)"
    )
