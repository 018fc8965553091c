# SPDX-License-Identifier: Apache-2.0
"""Convert every encoding of sensor_msgs/Image to RGB, by the layout of its pixels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import cv2
import numpy as np

from .intensity import Limits, to_uint8
from .raw_pixels import ImageError, packed_pixels, planes


@dataclass(frozen=True)
class Packed:
    """An encoding with interleaved channels.

    Attributes:
        channels: values of a pixel.
        kind: numpy's name of a value's type, without byte order.
        order: ``grey``, ``rgb``, ``bgr`` (with alpha where there are four channels), a Bayer pattern, or a
            packed order of YUV 4:2:2.
    """

    channels: int
    kind: str
    order: str


#: OpenCV names a pattern by its second row and column, ROS by its first.
_BAYER = {
    "rggb": cv2.COLOR_BayerBG2RGB,
    "bggr": cv2.COLOR_BayerRG2RGB,
    "gbrg": cv2.COLOR_BayerGR2RGB,
    "grbg": cv2.COLOR_BayerGB2RGB,
}
_YUV422 = {
    "uyvy": cv2.COLOR_YUV2RGB_UYVY,
    "yuyv": cv2.COLOR_YUV2RGB_YUY2,
    "yvyu": cv2.COLOR_YUV2RGB_YVYU,
}
#: Channels, order -> OpenCV's conversion to RGB.
_CODES = {
    (1, "grey"): cv2.COLOR_GRAY2RGB,
    (3, "bgr"): cv2.COLOR_BGR2RGB,
    (4, "rgb"): cv2.COLOR_RGBA2RGB,
    (4, "bgr"): cv2.COLOR_BGRA2RGB,
    **{(1, pattern): code for pattern, code in _BAYER.items()},
    **{(2, order): code for order, code in _YUV422.items()},
}
#: sensor_msgs/image_encodings.hpp, and the V4L2 orders that drivers publish beside them.
ENCODINGS: dict[str, Packed] = {
    **{
        f"{order}{alpha}{bits}": Packed(3 + len(alpha), f"u{bits // 8}", order)
        for bits in (8, 16)
        for order in ("rgb", "bgr")
        for alpha in ("", "a")
    },
    "mono8": Packed(1, "u1", "grey"),
    "mono16": Packed(1, "u2", "grey"),
    **{f"bayer_{order}{bits}": Packed(1, f"u{bits // 8}", order) for bits in (8, 16) for order in _BAYER},
    "yuv422": Packed(2, "u1", "uyvy"),
    "uyvy": Packed(2, "u1", "uyvy"),
    "yuv422_yuy2": Packed(2, "u1", "yuyv"),
    "yuyv": Packed(2, "u1", "yuyv"),
    "yvyu": Packed(2, "u1", "yvyu"),
}
#: OpenCV's types, with 1, 3 (BGR) or 4 (BGRA) channels.
_CV_TYPE = re.compile(r"(8|16|32|64)(U|S|F)(?:C([134])?)?")
_CV_KINDS = {"8U": "u1", "8S": "i1", "16U": "u2", "16S": "i2", "32S": "i4", "32F": "f4", "64F": "f8"}
_FULL, _HALF = Fraction(1), Fraction(1, 2)
#: Encodings in planes -> rows and bytes a row of each, as shares of the image's height and width.
PLANAR: dict[str, tuple[tuple[Fraction, Fraction], ...]] = {
    **dict.fromkeys(("nv12", "nv21"), ((_FULL, _FULL), (_HALF, _FULL))),
    **dict.fromkeys(("nv16", "nv61"), ((_FULL, _FULL), (_FULL, _FULL))),
    **dict.fromkeys(("nv24", "nv42"), ((_FULL, _FULL), (_FULL, Fraction(2)))),
    **dict.fromkeys(("i420", "yv12"), ((_FULL, _FULL), (_HALF, _HALF), (_HALF, _HALF))),
}
#: Rows of R, G, B from Y, U, V and 1: BT.601 in studio swing, as OpenCV has for the other YUV encodings.
_YUV_TO_RGB = np.array([[1.164, 0, 1.596], [1.164, -0.391, -0.813], [1.164, 2.018, 0]])
_YUV_TO_RGB = np.hstack([_YUV_TO_RGB, -_YUV_TO_RGB @ [[16], [128], [128]]])


def packed_encoding(encoding: str) -> Packed:
    """Return the layout of an encoding that is not in planes.

    Raises:
        ImageError: The encoding is unknown; the message lists those that are known.
    """
    if encoding in ENCODINGS:
        return ENCODINGS[encoding]
    found = _CV_TYPE.fullmatch(encoding)
    kind = _CV_KINDS.get(found[1] + found[2]) if found else None
    if found is None or kind is None:
        known = ", ".join([*ENCODINGS, *PLANAR])
        raise ImageError(
            f"encoding is {encoding!r}; expected one of {known}, or a type of OpenCV with 1, 3 or 4 channels"
        )
    channels = int(found[3] or 1)
    return Packed(channels, kind, "grey" if channels == 1 else "bgr")


def message_to_rgb(message: Any, limits: Limits | None = None) -> np.ndarray:
    """Convert an Image to ``(H, W, 3)`` uint8 RGB; see :func:`~evitsam_ros.io.encodings.image_to_frame`."""
    if message.encoding in PLANAR:
        return _planar_to_rgb(message)
    layout = packed_encoding(message.encoding)
    pixels = packed_pixels(message, layout.channels, layout.kind)
    _check_blocks(message, layout)
    return packed_to_rgb(pixels, layout, limits)


def packed_to_rgb(pixels: np.ndarray, layout: Packed, limits: Limits | None = None) -> np.ndarray:
    """Convert ``(H, W, C)`` pixels to ``(H, W, 3)`` uint8 RGB; rgb8 is returned as it is."""
    channels, order = layout.channels, layout.order
    if layout.kind != "u1":
        if channels == 4:  # alpha is not brightness
            channels, pixels = 3, pixels[..., :3]
        pixels = to_uint8(pixels, limits, colour=order != "grey")
    if (channels, order) == (3, "rgb"):
        return pixels
    # OpenCV cannot read rows with gaps that are no multiple of a pixel.
    if pixels.strides[0] % channels:
        pixels = np.ascontiguousarray(pixels)
    return cv2.cvtColor(pixels[..., 0] if channels == 1 else pixels, _CODES[channels, order])


def mosaic_to_rgb(mosaic: np.ndarray, encoding: str, limits: Limits | None = None) -> np.ndarray:
    """Convert the ``(H, W)`` mosaic of a ``bayer_*`` encoding, 8 or 16 bits, to ``(H, W, 3)`` uint8 RGB.

    Raises:
        ImageError: The pattern is unknown, or the image is smaller than the pattern.
    """
    pattern = encoding[6:10]
    if pattern not in _BAYER:
        raise ImageError(f"encoding is {encoding!r}; expected bayer_ and one of {', '.join(_BAYER)}")
    if min(mosaic.shape) < 2:
        raise ImageError(
            f"image is {mosaic.shape[1]}x{mosaic.shape[0]}; expected at least 2x2 for {encoding}"
        )
    return packed_to_rgb(mosaic[..., None], Packed(1, mosaic.dtype.str[1:], pattern), limits)


def _check_blocks(message: Any, layout: Packed) -> None:
    """Reject images that do not consist of complete blocks: 2 x 2 for Bayer, 2 x 1 for YUV 4:2:2."""
    height, width = message.height, message.width
    if layout.order in _BAYER and (height < 2 or width < 2):
        raise ImageError(f"image is {width}x{height}; expected at least 2x2 for {message.encoding}")
    if layout.order in _YUV422 and width % 2:
        raise ImageError(f"width is {width}; expected an even number for {message.encoding}")


def _planar_to_rgb(message: Any) -> np.ndarray:
    """Convert YUV in planes; ``(H, W, 3)`` uint8 RGB."""
    encoding, height, width = message.encoding, message.height, message.width
    # All but 4:4:4 share chroma between two columns, 4:2:0 between two rows too.
    if encoding not in ("nv24", "nv42") and width % 2:
        raise ImageError(f"width is {width}; expected an even number for {encoding}")
    if encoding in ("nv12", "nv21", "i420", "yv12") and height % 2:
        raise ImageError(f"height is {height}; expected an even number for {encoding}")
    luma, *chroma = planes(message, PLANAR[encoding])
    if encoding in ("nv12", "nv21"):
        code = cv2.COLOR_YUV2RGB_NV12 if encoding == "nv12" else cv2.COLOR_YUV2RGB_NV21
        return cv2.cvtColor(np.concatenate([luma, chroma[0]]), code)
    if encoding in ("i420", "yv12"):
        code = cv2.COLOR_YUV2RGB_I420 if encoding == "i420" else cv2.COLOR_YUV2RGB_YV12
        packed = np.concatenate([plane.reshape(-1) for plane in (luma, *chroma)])
        return cv2.cvtColor(packed.reshape(-1, width), code)
    if encoding in ("nv16", "nv61"):
        code = _YUV422["yuyv"] if encoding == "nv16" else _YUV422["yvyu"]
        return cv2.cvtColor(np.dstack([luma, chroma[0]]), code)
    pairs = chroma[0].reshape(height, width, 2)[..., :: 1 if encoding == "nv24" else -1]
    return cv2.transform(np.dstack([np.maximum(luma, 16), pairs]), _YUV_TO_RGB)
